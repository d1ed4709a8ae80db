"""Shutters on moving scenes, and several exposures merged."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from frames import make_frame

from scrambler import Multiplexer
from scrambler.errors import MissingKeyError
from sensor import (
    Camera,
    RawFrameError,
    Scene,
    SceneError,
    merge_exposures,
    moving_scene,
    ramp_chart,
    read_video,
    readout_row_order,
    readout_timeline,
    sensor_preset,
)
from sensor.readout_timing import row_time_s


def bars(count, shape=(40, 60)):
    """A bright column that moves one photosite to the right from picture to picture."""
    pictures = np.zeros((count, *shape))
    for k in range(count):
        pictures[k, :, k] = 1
    return [Scene.from_array(picture) for picture in pictures]


def seen(scene):
    return scene.rows(0, scene.shape[0])[:, :, 1].astype(np.float64)


def test_a_global_shutter_keeps_bars_upright_and_a_rolling_one_leans_them():
    params = sensor_preset("imx477")
    row = row_time_s(params, 60)
    scenes = bars(50)
    together = seen(
        moving_scene(scenes, row, readout_timeline(params, row, shape=(40, 60), shutter="global"), start_s=-row)
    )
    assert (together == together[0]).all()
    rolling = seen(moving_scene(scenes, row, readout_timeline(params, row, shape=(40, 60)), start_s=-row))
    # One row time a picture, one photosite a picture: 45 degrees.
    np.testing.assert_allclose(rolling, np.eye(40, 60), atol=1e-6)


def test_a_keyed_row_order_breaks_the_bar_up_as_the_key_says(key):
    params = replace(sensor_preset("imx477"), cfa="W")
    mux, nonce = Multiplexer(key, pattern="rows", unit="pixel"), bytes(16)
    order = readout_row_order(mux, params, (40, 60), nonce)
    row = row_time_s(params, 60)
    timeline = readout_timeline(params, row, shape=(40, 60), row_order=order)
    keyed = seen(moving_scene(bars(50), row, timeline, start_s=-row))
    for place, y in enumerate(order):
        assert keyed[y].argmax() == place


def test_light_is_the_mean_over_the_exposure_by_hand():
    params = sensor_preset("imx477")
    dark, bright = Scene.from_array(np.zeros((2, 4))), Scene.from_array(np.ones((2, 4)))
    timeline = readout_timeline(params, 0.004, shape=(2, 4), shutter="global")
    # Exposed from -4 ms to 0; the bright picture begins at -1 ms: a quarter. Then before all, and after all.
    assert seen(moving_scene([dark, bright], 0.003, timeline, start_s=-0.004)) == pytest.approx(0.25)
    assert seen(moving_scene([dark, bright], 0.003, timeline, start_s=1.0)) == pytest.approx(0)
    assert seen(moving_scene([dark, bright], 0.003, timeline, start_s=-1.0)) == pytest.approx(1)


def test_a_still_scene_stays_what_it_is():
    scene = ramp_chart((30, 50))
    timeline = readout_timeline(sensor_preset("imx477"), 0.01, shape=(30, 50))
    np.testing.assert_allclose(seen(moving_scene([scene] * 7, 0.003, timeline)), seen(scene), rtol=1e-6)


def test_videos_are_scenes(tmp_path):
    path = tmp_path / "v.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    for k in range(5):
        video.write(np.full((48, 64, 3), 40 * k, np.uint8))
    video.release()
    scenes, period = read_video(path)
    assert (len(scenes), period) == (5, pytest.approx(0.05))
    assert scenes[0].shape == (48, 64)
    assert seen(scenes[3]).mean() == pytest.approx((((120 / 255) + 0.055) / 1.055) ** 2.4, rel=0.05)
    assert len(read_video(path, most_frames=2)[0]) == 2
    (tmp_path / "no.avi").write_bytes(b"RIFF nothing")
    for name in ("no.avi", "none.avi"):
        with pytest.raises(SceneError, match=name):
            read_video(tmp_path / name)


def test_impossible_motion_is_refused():
    timeline = readout_timeline(sensor_preset("imx477"), 0.01, shape=(3, 4))
    with pytest.raises(SceneError, match="3 rows"):
        moving_scene([], 0.1, timeline)
    with pytest.raises(SceneError, match="3 rows"):
        moving_scene([Scene.from_array(np.zeros((4, 4)))], 0.1, timeline)
    with pytest.raises(SceneError, match="period_s"):
        moving_scene([Scene.from_array(np.zeros((3, 4)))], 0, timeline)


def test_two_exposures_by_hand():
    # 0.5 DN/e-, black 64, no read noise to speak of. Rate 1000 e-/s: 100 e- and 10 e- -> codes 114 and 69.
    plain = {"gain_dn_per_e": 0.5, "read_noise_e": 0.0, "white_level": 1000, "cfa": "W"}
    long = make_frame(24, 24, mosaic=np.full((24, 24), 114, np.uint16), exposure_s=0.1, **plain)
    short = make_frame(24, 24, mosaic=np.full((24, 24), 69, np.uint16), exposure_s=0.01, **plain)
    top = (1000 - 64) / 0.5 / 0.01
    merged = merge_exposures([short, long])
    assert merged.mosaic[3, 3] == round(1000 / top * 65535)
    # Saturated in the long one: the short one alone. Saturated in both: white.
    over = make_frame(24, 24, mosaic=np.full((24, 24), 1000, np.uint16), exposure_s=0.1, **plain)
    assert merge_exposures([over, short]).mosaic[3, 3] == round(1000 / top * 65535)
    white = make_frame(24, 24, mosaic=np.full((24, 24), 1000, np.uint16), exposure_s=0.01, **plain)
    assert (merge_exposures([over, white]).mosaic == 65535).all()


def test_merged_frames_see_deeper_into_the_shadows(key):
    camera = Camera(replace(sensor_preset("imx490-lcg"), cfa="W"), Multiplexer(key), seed=1)
    scene = Scene.from_array(np.tile(np.geomspace(3e-4, 0.95, 400), (300, 1)))
    frames = [camera.capture(scene, exposure_s=t, frame=n) for n, t in enumerate((0.01, 0.0625, 0.16))]
    merged = merge_exposures(frames, key).mosaic / 65535
    truth = np.geomspace(3e-4, 0.95, 400)
    np.testing.assert_allclose(merged.mean(0)[20:], truth[20:], rtol=0.03)
    single = (frames[0].unshuffle(key).mosaic - 256.0) / (frames[0].white_level - 256)
    # Darkest column, 6.6 e- in 0.01 s: variance 6.6 + 3.05^2 + 1/(12 K^2) = 18.6 e-^2 there; 16 times the light has
    # 117 e-^2 on 16 times the signal, and the middle exposure helps a little: about a sixth of the noise.
    assert 6 < single[:, :5].std(0).mean() / merged[:, :5].std(0).mean() < 8


def test_frames_that_do_not_go_together_are_refused(key):
    one = make_frame(24, 30)
    for others in ([one], [one, make_frame(24, 24)], [one, make_frame(24, 30, gain_dn_per_e=None)]):
        with pytest.raises(RawFrameError, match="merging needs"):
            merge_exposures(others)
    with pytest.raises(RawFrameError, match="merging needs"):
        merge_exposures([one, one], exposures=[1.0, 0.0])
    with pytest.raises(MissingKeyError):
        merge_exposures([one, one.shuffle(Multiplexer(key))])
