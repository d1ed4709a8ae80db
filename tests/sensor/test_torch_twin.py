"""The torch camera is the Numba camera."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from sensor import Camera, CaptureError, Scene, sensor_preset
from sensor.counter_rng import NoiseSource, Stream
from sensor.shot_noise import poisson_quantile
from sensor.torch_twin import TorchCamera

SHAPE = (36, 48)


def light(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


def as_batch(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None].clone()


def test_the_package_works_without_torch():
    code = "import sensor, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["imx477", "imx363", "pregius-3.45"])
def test_without_noise_both_agree_within_a_code(name):
    params = replace(sensor_preset(name), shot_noise=False, read_noise_e=0.0, converter_noise_dn=0.0)
    for gain, exposure_s in ((1.0, 0.01), (2.0, 0.004)):
        codes = Camera(params, seed=5, gain=gain).capture(Scene.from_array(light()), exposure_s=exposure_s).mosaic
        twin = TorchCamera(params, SHAPE, seed=5, gain=gain)(as_batch(light()), exposure_s)
        assert twin.dtype == torch.float32
        assert np.abs(twin[0, 0].numpy() - codes).max() <= 1
        assert (twin[0, 0].numpy() != codes).mean() < 0.01


def test_given_the_same_electrons_both_agree_within_a_code():
    params = replace(sensor_preset("imx477"), read_noise_e=0.0, converter_noise_dn=0.0)
    codes = Camera(params, seed=5, sampler="exact").capture(Scene.from_array(light()), frame=3).mosaic
    twin = TorchCamera(params, SHAPE, seed=5)
    mean = twin.expected_electrons(as_batch(light()))
    words = NoiseSource(seed=5, frame=3).words(Stream.SHOT, SHAPE)
    electrons = torch.from_numpy(poisson_quantile(mean[0].numpy(), words))[None]
    assert np.abs(twin(as_batch(light()), electrons=electrons)[0, 0].numpy() - codes).max() <= 1


@pytest.mark.parametrize("name", ["pregius-3.45", "nikon-d850"])
def test_with_noise_both_agree_in_distribution(name):
    params = replace(sensor_preset(name), cfa="W", prnu_percent=0.0, dsnu_e=0.0, row_noise_e=0.0, row_noise_dn=0.0)
    shape = (200, 300)
    generator = torch.Generator().manual_seed(1)
    for level in (0.0, 0.02, 0.5):
        ours = Camera(params, seed=1).capture(Scene.from_array(np.full(shape, level))).mosaic.astype(float)
        twin = TorchCamera(params, shape)(torch.full((1, 3, *shape), level), generator=generator)[0, 0].numpy()
        n = ours.size
        assert abs(ours.mean() - twin.mean()) < 5 * ours.std() * np.sqrt(2 / n)
        # Heavy tails make the spread itself uncertain: standard error from the fourth moment.
        fourth = ((ours - ours.mean()) ** 4).mean() / ours.var() ** 2
        assert abs(ours.var() / twin.astype(float).var() - 1) < 6 * np.sqrt(2 * (fourth - 1) / n)


def test_the_same_generator_gives_the_same_frame():
    twin = TorchCamera("imx477", SHAPE)
    first, second = (twin(as_batch(light()), generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, twin(as_batch(light()), generator=torch.Generator().manual_seed(5)))


def test_a_batch_is_its_frames():
    twin = TorchCamera("imx477", SHAPE, seed=2)
    batch = torch.cat([as_batch(light(seed=s)) for s in range(3)])
    whole = twin(batch, noise=False)
    assert whole.shape == (3, 1, *SHAPE)
    for k in range(3):
        assert torch.equal(whole[k], twin(batch[k : k + 1], noise=False)[0])


def test_gradients_are_those_of_the_smooth_camera():
    params = replace(sensor_preset("imx477"), cfa="W", prnu_percent=0.0, dsnu_e=0.0)
    twin = TorchCamera(params, (4, 6))
    grey = torch.full((1, 3, 4, 6), 0.3, requires_grad=True)
    (gradient,) = torch.autograd.grad(twin(grey, noise=False).sum(), grey)
    # Luminance weights times electrons at full light times gain.
    slope = params.saturation_e * params.gain_dn_per_e
    expected = torch.tensor([0.2126, 0.7152, 0.0722]) * slope
    torch.testing.assert_close(gradient[0, :, 1, 2], expected, rtol=1e-3, atol=0)
    # Saturated photosites pass none.
    (gradient,) = torch.autograd.grad(twin(grey * 9, noise=False).sum(), grey)
    assert (gradient == 0).all()


def test_shot_noise_is_reparametrised():
    params = replace(
        sensor_preset("imx477"), cfa="W", prnu_percent=0.0, dsnu_e=0.0, read_noise_e=0.0, converter_noise_dn=0.0
    )
    twin = TorchCamera(params, (2, 3))
    grey = torch.full((1, 3, 2, 3), 0.1, requires_grad=True)
    mean = twin.expected_electrons(grey)
    counts = torch.tensor([[[700.0, 750, 800], [816, 900, 1000]]])
    (gradient,) = torch.autograd.grad(twin(grey, electrons=counts).sum(), grey)
    mu = mean.detach()
    slope = params.saturation_e * params.gain_dn_per_e * 0.7152
    expected = slope * (1 + (counts - mu) / mu.sqrt() / (2 * mu.sqrt()))
    torch.testing.assert_close(gradient[:, 1], expected, rtol=1e-3, atol=0)


def test_nothing_is_stored_and_wrong_shapes_are_refused():
    twin = TorchCamera("imx477", SHAPE)
    assert not twin.state_dict()
    with pytest.raises(CaptureError, match="whole colour-filter periods"):
        TorchCamera("imx477", (3, 4))
    with pytest.raises(CaptureError, match="light must have shape"):
        twin(torch.zeros(1, 3, 4, 4))
