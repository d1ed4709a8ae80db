from dataclasses import replace

import numba
import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import Camera, CaptureError, Scene, sensor_preset
from sensor.counter_rng import NoiseSource
from sensor.prnu import prnu

RNG = np.random.default_rng(3)


def flat(level, shape=(256, 320)):
    return Scene.from_array(np.full(shape, level))


def test_a_quiet_camera_by_hand(quiet):
    # 10 bit, black 23, 0.5 DN/e-: saturation is 1000 codes = 2000 e-. RGGB, so: red green / green blue.
    rgb = np.array([[[0.25, 9, 9], [9, 0.5, 9]], [[9, 1.0, 9], [9, 9, 2.0]]])
    frame = Camera(quiet).capture(Scene.from_array(rgb))
    assert frame.mosaic.tolist() == [[273, 523], [1023, 1023]]
    # A quarter of the time: 62.5 codes round to 63; half the gain halves the codes again.
    assert Camera(quiet).capture(Scene.from_array(rgb), exposure_s=0.0025).mosaic.tolist() == [[86, 148], [273, 523]]
    half = Camera(quiet, gain=0.5).capture(Scene.from_array(rgb), exposure_s=0.0025)
    assert half.mosaic.tolist() == [[54, 86], [148, 273]]
    assert half.gain_dn_per_e == 0.25


@pytest.mark.parametrize(
    "off",
    [
        {"prnu_percent": 0.0},
        {"dsnu_e": 0.0},
        {"dark_current_e_per_s": 0.0},
        {"read_noise_e": 0.0, "converter_noise_dn": 0.0},
        {"full_well_e": float("inf")},
        {"shot_noise": False},
    ],
)
def test_each_effect_alone_is_seen_and_off_it_is_absent(quiet, off):
    """Switched on alone it changes the frame; at its off value the frame is that of a camera without it."""
    scene = Scene.from_array(RNG.random((20, 30, 3)))
    # Levels at which each effect is worth several codes.
    strong = {
        "prnu_percent": 5.0,
        "dsnu_e": 20.0,
        "dark_current_e_per_s": 5000.0,
        "read_noise_e": 20.0,
        "converter_noise_dn": 20.0,
        "full_well_e": 900.0,
        "shot_noise": True,
    }
    absent = Camera(quiet).capture(scene)
    on = replace(quiet, **{name: strong[name] for name in off})
    assert not np.array_equal(Camera(on).capture(scene).mosaic, absent.mosaic)
    np.testing.assert_array_equal(Camera(replace(on, **off)).capture(scene).mosaic, absent.mosaic)


def test_the_same_seed_gives_the_same_bits_on_one_thread_and_on_two():
    scene = Scene.from_array(RNG.random((500, 602, 3)))
    frames = []
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            frames.append(Camera("imx477", seed=5).capture(scene, frame=3).mosaic)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*frames)


def test_a_smaller_frame_of_the_same_camera_is_the_corner_of_the_larger_one():
    light = RNG.random((300, 402, 3))
    camera = Camera("imx477", seed=5)
    whole = camera.capture(Scene.from_array(light)).mosaic
    corner = camera.capture(Scene.from_array(light[:48, :70])).mosaic
    np.testing.assert_array_equal(corner, whole[:48, :70])


def test_frames_of_one_camera_share_their_fixed_pattern_and_nothing_else():
    params = replace(sensor_preset("imx477"), dsnu_e=20.0)
    camera = Camera(params, seed=2)
    first, second = (camera.capture(flat(0.0), frame=f).mosaic.astype(float) for f in (0, 1))
    other = Camera(params, seed=3).capture(flat(0.0)).mosaic.astype(float)
    n = first.size
    # Dark signal: DSNU 20 e- against read noise 3 e-; correlation 400/(400 + 9 + ~0) = 0.978.
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(n)
    quiet_pattern = replace(params, dsnu_e=0.0, prnu_percent=0.0)
    first, second = (Camera(quiet_pattern).capture(flat(0.3), frame=f).mosaic.astype(float) for f in (0, 1))
    for channel in (np.s_[::2, ::2], np.s_[::2, 1::2], np.s_[1::2, 1::2]):
        a, b = first[channel].ravel(), second[channel].ravel()
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)


@pytest.mark.parametrize("name", ["imx477", "pregius-3.45"])
@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_photon_transfer_gives_the_gain_and_the_read_noise_back(name, gain):
    params = replace(sensor_preset(name), cfa="W", prnu_percent=0.0, dsnu_e=0.0)
    camera = Camera(params, gain=gain)
    k, read = params.gain_dn_per_e * gain, params.total_read_noise_e(gain)
    means, variances, errors = [], [], []
    for number, level in enumerate((0.0, 0.1, 0.3, 0.6)):
        a, b = (
            camera.capture(flat(level), exposure_s=0.01 / gain, frame=2 * number + i).mosaic.astype(float)
            for i in (0, 1)
        )
        means.append((a.mean() + b.mean()) / 2)
        # Two frames share the scene: the difference has twice the temporal variance.
        variances.append(((a - b).var()) / 2)
        # The variance of n normal numbers has relative standard error sqrt(2/n).
        errors.append(variances[-1] * np.sqrt(2 / a.size))
        electrons = (means[-1] - params.black_level_dn) / k
        expected = k**2 * (read**2 + electrons) + 1 / 12
        assert abs(variances[-1] - expected) < 5 * errors[-1]
    slope = (variances[-1] - variances[0]) / (means[-1] - means[0])
    assert abs(slope - k) < 5 * np.hypot(errors[0], errors[-1]) / (means[-1] - means[0])


def test_the_mean_follows_light_time_and_dark_current():
    params = replace(sensor_preset("imx477"), cfa="W", dark_current_e_per_s=200.0)
    # 14 K above the reference, two doublings of 7 K: 800 e-/s, and 0.04 s of it make 32 e-.
    camera = Camera(params, temperature_k=params.dark_reference_k + 14)
    mean = camera.capture(flat(0.05), exposure_s=0.04).mosaic.mean()
    electrons = 0.05 * 4 * params.saturation_e + 32
    spread = np.sqrt(electrons + 9 + (0.007 * electrons) ** 2) * params.gain_dn_per_e
    assert abs(mean - params.black_level_dn - params.gain_dn_per_e * electrons) < 5 * spread / np.sqrt(256 * 320)


def test_prnu_of_flat_frames_is_the_map_of_the_camera(quiet):
    params = replace(quiet, prnu_percent=4.0, bit_depth=16, cfa="W")
    codes = Camera(params, seed=8).capture(flat(0.4, (50, 60))).mosaic
    electrons = np.full((50, 60), 0.4 * params.saturation_e, np.float32)
    expected = prnu(electrons, 4.0, NoiseSource(seed=8)) * 0.5 + 23
    np.testing.assert_allclose(codes, expected, atol=0.51)


def test_scene_value_one_saturates_green_and_only_green():
    frame = Camera(replace(sensor_preset("imx477"), shot_noise=False, read_noise_e=0, converter_noise_dn=0)).capture(
        flat(1.0, (20, 30))
    )
    light = (frame.mosaic - 256.0) / (frame.white_level - 256)
    np.testing.assert_allclose(light[::2, 1::2].mean(), 1, atol=0.01)
    np.testing.assert_allclose(light[::2, ::2].mean(), 1 / 3.152, atol=0.01)


def test_the_frame_size_follows_the_scene_or_the_shape(quiet):
    scene = Scene.from_array(np.full((31, 45), 0.5))
    assert Camera(quiet).capture(scene).shape == (30, 44)
    assert Camera(quiet, shape=(64, 20)).capture(scene).shape == (64, 20)
    small = replace(quiet, height_px=40, width_px=60)
    assert Camera(small, shape="native").capture(scene).shape == (40, 60)
    assert Camera(replace(quiet, cfa="W")).capture(scene).shape == (31, 45)


@pytest.mark.parametrize("pattern", ["frame", "rows", "columns", "rows+columns", "tiles:4"])
@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
def test_the_shuffle_moves_finished_codes_and_nothing_else(key, pattern, unit):
    scene = Scene.from_array(RNG.random((46, 62, 3)))
    natural = Camera("pregius-3.45", seed=4).capture(scene, frame=9)
    shuffled = Camera("pregius-3.45", Multiplexer(key, pattern=pattern, unit=unit), seed=4).capture(scene, frame=9)
    assert not natural.is_shuffled
    assert (shuffled.key_id, shuffled.pattern, shuffled.unit) == (key.id, pattern, unit)
    assert not np.array_equal(shuffled.mosaic, natural.mosaic)
    np.testing.assert_array_equal(shuffled.unshuffle(key).mosaic, natural.mosaic)


def test_every_frame_gets_its_own_nonce_unless_one_is_given(key):
    camera = Camera("imx477", Multiplexer(key))
    scene = flat(0.5, (24, 24))
    first, second = camera.capture(scene), camera.capture(scene)
    assert first.nonce != second.nonce
    assert camera.capture(scene, nonce=bytes(16)).nonce == bytes(16)


@pytest.mark.parametrize(
    ("camera", "capture", "sentence"),
    [
        ({"gain": 0}, {}, "gain"),
        ({"temperature_k": float("nan")}, {}, "temperature_k"),
        ({"seed": -1}, {}, "seed"),
        ({"shape": (3, 4)}, {}, "shape"),
        ({"shape": "huge"}, {}, "shape"),
        ({"multiplexer": "key"}, {}, "multiplexer"),
        ({}, {"exposure_s": -1}, "exposure_s"),
        ({}, {"exposure_s": "long"}, "exposure_s"),
        ({}, {"frame": 1.5}, "frame"),
        ({}, {"nonce": bytes(16)}, "no multiplexer"),
        ({}, {"scene": np.zeros((4, 4))}, "Scene"),
        ({}, {"scene": Scene.from_array(np.zeros((1, 9)))}, "smaller than one colour-filter period"),
    ],
)
def test_an_impossible_capture_is_refused(camera, capture, sentence):
    with pytest.raises(CaptureError, match=sentence):
        Camera("imx477", **camera).capture(**{"scene": flat(0.5, (8, 8)), **capture})


def test_neither_camera_nor_frame_prints_the_key(key):
    camera = Camera("imx477", Multiplexer(key))
    frame = camera.capture(flat(0.5, (24, 24)))
    for text in (repr(camera), repr(frame), str(camera.__dict__), repr(frame.__dict__)):
        assert key.to_bytes().hex() not in text
        assert repr(key.to_bytes())[2:-1] not in text
