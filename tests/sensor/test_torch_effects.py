"""Every effect of the torch camera is that of the Numba camera: the same frames, within one code."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sensor import Camera, CaptureError, Scene
from sensor.torch_draws import GeneratorDraws
from sensor.torch_twin import TorchCamera
from tests.sensor.test_rare_effects import STRONG
from tests.sensor.test_torch_twin import as_batch, light

SHAPE = (24, 36)
LEAKING = {"shutter": "global", "parasitic_light_share": 0.5, "storage_dark_e_per_s": 1e5}
EFFECTS = {**STRONG, "parasitic_light_share": LEAKING}


def both(params, *, frame=7, level=1.5, exposure_s=0.012):
    picture = level * light(SHAPE)
    ours = Camera(params, seed=5, sampler="exact").capture(Scene.from_array(picture), exposure_s, frame=frame).mosaic
    twin = TorchCamera(params, SHAPE, seed=5)(as_batch(picture), exposure_s, frames=[frame])
    return ours.astype(int), twin[0, 0].numpy()


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_alone_gives_the_same_frame(quiet, name):
    params = replace(quiet, **EFFECTS[name])
    ours, twin = both(params)
    assert np.abs(twin - ours).max() <= 1
    assert (twin != ours).mean() < 0.01
    without, _ = both(quiet)
    assert np.abs(ours - without).max() > 1  # and the effect is there to be seen


@pytest.mark.parametrize("converter", ["single-slope", "sar"])
def test_all_effects_together_give_the_same_frame(quiet, converter):
    everything = {name: value for figures in EFFECTS.values() for name, value in figures.items()}
    params = replace(
        quiet, shot_noise=True, read_noise_e=4.0, prnu_percent=2.0, dsnu_e=3.0, dark_current_e_per_s=300.0,
        cfa="GRBG", **{**everything, "full_well_e": 1500.0, "converter": converter},
    )  # fmt: skip
    ours, twin = both(params)
    assert np.abs(twin - ours).max() <= 1
    assert (twin != ours).mean() < 0.02


def test_a_batch_of_frame_numbers_is_those_frames(quiet):
    params = replace(quiet, shot_noise=True, row_noise_e=20.0, rts_fraction=0.5, rts_amplitude_e=40.0)
    picture = light(SHAPE)
    twin = TorchCamera(params, SHAPE, seed=5)(as_batch(picture).repeat(2, 1, 1, 1), frames=[3, 9])
    camera = Camera(params, seed=5, sampler="exact")
    for at, frame in enumerate((3, 9)):
        ours = camera.capture(Scene.from_array(picture), frame=frame).mosaic.astype(int)
        assert np.abs(twin[at, 0].numpy() - ours).max() <= 1


def test_noise_of_a_generator_has_the_spread_of_the_frames(quiet):
    params = replace(
        quiet, row_noise_e=20.0, banding_noise_e=15.0, banding_hz=3000.0, rts_fraction=0.5, rts_amplitude_e=40.0,
        reset_noise_e=10.0, cds=False,
    )  # fmt: skip
    twin = TorchCamera(params, SHAPE, seed=5)
    grey = torch.full((400, 3, *SHAPE), 0.4)
    drawn = twin(grey, generator=torch.Generator().manual_seed(1))
    given = twin(grey, frames=range(400))
    for pick in (lambda codes: codes.std(), lambda codes: codes.mean(3).std(), lambda codes: codes.mean((2, 3)).std()):
        # The least sure figure, the flicker of 400 whole frames, is known to 1/sqrt(800) = 3.5 %.
        assert abs(float(pick(drawn) / pick(given)) - 1) < 0.18


def test_words_of_a_generator_fill_32_bits():
    words = GeneratorDraws(torch.zeros(3, 1), torch.Generator().manual_seed(0)).words(0, 50, 60)
    assert words.shape == (3, 50, 60)
    assert 0 <= int(words.min()) < 1 << 22
    assert (1 << 32) - (1 << 22) < int(words.max()) < 1 << 32


@pytest.mark.parametrize("name", ["full_well_knee", "blooming_fraction", "ramp_curvature_dn", "column_gain_percent"])
def test_gradients_of_smooth_effects_are_finite_differences(quiet, name):
    # Without the rounding, which passes straight through, the camera is a smooth function; differences see steps.
    params = replace(quiet, cfa="W", bit_depth=16, gain_dn_per_e=20.0, **EFFECTS[name])
    twin = TorchCamera(params, SHAPE, seed=5).double()
    scale = float(params.full_well_e) / params.saturation_e if np.isfinite(params.full_well_e) else 1.0
    grey = (0.8 * scale * as_batch(light(SHAPE)).double()).requires_grad_()
    (gradient,) = torch.autograd.grad(twin(grey, noise=False).sum(), grey)
    along = torch.from_numpy(np.random.default_rng(2).random(grey.shape)) * gradient.sign()
    step = 1e-2 * scale
    with torch.no_grad():
        rise = (twin(grey + step * along, noise=False) - twin(grey - step * along, noise=False)).sum() / (2 * step)
    assert float(rise) == pytest.approx(float((gradient * along).sum()), rel=0.01)


def test_dead_and_stuck_photosites_pass_no_gradient(quiet):
    twin = TorchCamera(replace(quiet, cfa="W", defect_fraction=0.3), SHAPE, seed=5)
    grey = torch.full((1, 3, *SHAPE), 0.3, requires_grad=True)
    codes = twin(grey, noise=False)
    (gradient,) = torch.autograd.grad(codes.sum(), grey)
    broken = (codes[0, 0] == 1023) | (codes[0, 0] == 23)
    assert 0.2 < broken.float().mean() < 0.4
    assert ((gradient[0, 1] == 0) == broken).all()


def test_frame_numbers_go_with_the_batch_and_without_a_generator():
    twin = TorchCamera("imx477", SHAPE)
    with pytest.raises(CaptureError, match="1 frame numbers"):
        twin(as_batch(light(SHAPE)), frames=[1, 2])
    with pytest.raises(CaptureError, match="either a generator"):
        twin(as_batch(light(SHAPE)), frames=[1], generator=torch.Generator())
