import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Key, MissingKeyError, Multiplexer, WrongKeyError
from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS, Camera, RawFrame, RawFrameError, Scene
from sensor.cfa import cfa_tile
from tests.sensor.frames import make_frame


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([*BAYER, QUAD_BAYER, X_TRANS, MONO]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["frame", "rows", "columns", "rows+columns", "tiles:3"]),
    st.sampled_from([None, "pixel", "quad", "plane"]),
)
def test_unshuffle_gives_the_natural_frame_back(cfa, height, width, pattern, unit):
    key = Key.from_bytes(bytes(range(32)))
    frame = make_frame(height, width, cfa)
    shuffled = frame.shuffle(Multiplexer(key, pattern=pattern, unit=unit), nonce=bytes(range(16)))
    assert shuffled.is_shuffled
    assert shuffled.unit == (unit or "quad")
    assert sorted(shuffled.mosaic.ravel()) == sorted(frame.mosaic.ravel())
    natural = shuffled.unshuffle(key)
    assert not natural.is_shuffled
    np.testing.assert_array_equal(natural.mosaic, frame.mosaic)
    assert (natural.nonce, natural.pattern, natural.unit) == (None, None, None)


@pytest.mark.parametrize("cfa", [*BAYER, QUAD_BAYER, X_TRANS])
@pytest.mark.parametrize("unit", ["quad", "plane"])
def test_quads_and_planes_keep_every_code_on_its_colour(key, cfa, unit):
    colours = np.tile(cfa_tile(cfa), (20, 20))[:48, :60].astype(np.uint16)
    frame = make_frame(48, 60, cfa, mosaic=colours)
    np.testing.assert_array_equal(frame.shuffle(Multiplexer(key, unit=unit)).mosaic, colours)


def test_the_readout_permutation_says_which_photosite_lies_in_each_slot(key):
    frame = make_frame()
    shuffled = frame.shuffle(Multiplexer(key, unit="pixel"))
    source = shuffled.readout_permutation(key).source
    for slot in range(0, frame.mosaic.size, 37):
        assert shuffled.mosaic.ravel()[slot] == frame.mosaic.ravel()[source[slot]]
    assert frame.readout_permutation(key) is None
    assert frame.readout_permutation(None) is None
    assert frame.unshuffle(None) is frame


def test_a_wrong_key_is_refused_with_both_ids_unless_forced(key):
    wrong = Key.from_bytes(bytes(32))
    frame = make_frame()
    shuffled = frame.shuffle(Multiplexer(key))
    for use in (shuffled.unshuffle, shuffled.readout_permutation):
        with pytest.raises(WrongKeyError, match=f"{key.id}.*{wrong.id}"):
            use(wrong)
        with pytest.raises(MissingKeyError, match=key.id):
            use(None)
    forced = shuffled.unshuffle(wrong, force=True)
    assert not np.array_equal(forced.mosaic, frame.mosaic)
    assert sorted(forced.mosaic.ravel()) == sorted(frame.mosaic.ravel())


def test_a_shuffled_frame_is_not_shuffled_again(key):
    with pytest.raises(RawFrameError, match="already"):
        make_frame().shuffle(Multiplexer(key)).shuffle(Multiplexer(key))


def test_nonces_are_drawn_anew_and_kept_when_given(key):
    frame, mux = make_frame(), Multiplexer(key)
    assert frame.shuffle(mux).nonce != frame.shuffle(mux).nonce
    assert frame.shuffle(mux, nonce=b"n" * 16).nonce == b"n" * 16


def test_a_frame_does_not_change_with_the_array_it_came_from():
    codes = np.zeros((4, 6), np.uint16)
    frame = make_frame(mosaic=codes)
    codes[:] = 9
    assert frame.mosaic.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        frame.mosaic[0, 0] = 1
    fortran = np.asfortranarray(np.arange(24, dtype=np.uint16).reshape(4, 6))
    np.testing.assert_array_equal(make_frame(mosaic=fortran).mosaic, fortran)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"mosaic": np.zeros((4, 4))}, "uint16"),
        ({"mosaic": np.zeros(4, np.uint16)}, "shape"),
        ({"mosaic": np.zeros((0, 4), np.uint16)}, "shape"),
        ({"cfa": "RGB"}, "RGB"),
        ({"bit_depth": 17}, "bit_depth"),
        ({"black_level": 4000}, "black level"),
        ({"black_level": [[1.0]]}, "black_level"),
        ({"black_level": float("nan")}, "black_level"),
        ({"white_level": 4096}, "white level"),
        ({"white_balance": [1.0, 0.0, 1.0]}, "white_balance"),
        ({"white_balance": [1.0, 1.0]}, "white_balance"),
        ({"color_matrix": np.eye(4)}, "color_matrix"),
        ({"exposure_s": -1.0}, "exposure_s"),
        ({"exposure_s": "long"}, "exposure_s"),
        ({"gain_dn_per_e": float("inf")}, "gain_dn_per_e"),
        ({"bit_depth": 12.5}, "bit_depth"),
        ({"nonce": bytes(16)}, "belong together"),
        ({"nonce": bytes(15), "key_id": "0" * 16, "pattern": "frame", "unit": "quad"}, "16 bytes"),
        ({"nonce": bytes(16), "key_id": "secret", "pattern": "frame", "unit": "quad"}, "key_id"),
    ],
)
def test_parts_that_do_not_fit_are_refused(wrong, sentence):
    with pytest.raises(RawFrameError, match=sentence):
        make_frame(**wrong)


def test_the_stage_of_a_shuffle_is_kept_shown_and_forgotten_with_it(tmp_path, key):
    scene = Scene.from_array(np.random.default_rng(0).random((24, 30)))
    mux = Multiplexer(key, pattern="rows")
    for stage in ("post-adc", "pre-adc"):
        frame = Camera("imx477", mux, stage=stage).capture(scene)
        assert frame.stage == stage
        assert f"shuffled (rows, quad, {stage})" in repr(frame)
        frame.save(tmp_path / "a.dng")
        loaded = RawFrame.load(tmp_path / "a.dng")
        assert (loaded.stage, loaded.key_id, loaded.pattern) == (stage, key.id, "rows")
        for natural in (loaded.unshuffle(key), loaded.as_if_natural()):
            assert (natural.stage, natural.key_id, natural.nonce, natural.unit) == (None, None, None, None)
        np.testing.assert_array_equal(loaded.as_if_natural().mosaic, frame.mosaic)
    # Without a word, a shuffled frame is one that was shuffled as codes: so do files of earlier releases.
    assert make_frame(key_id=key.id, nonce=bytes(16), pattern="frame", unit="quad").stage == "post-adc"
    path = tmp_path / "a.dng"
    path.write_bytes(path.read_bytes().replace(b', "stage": "pre-adc"', b" " * 20))
    assert RawFrame.load(path).stage == "post-adc"
    for wrong in ({"stage": "pre-adc"}, {"stage": "later", "key_id": key.id, "nonce": bytes(16), "pattern": "frame",
                                         "unit": "quad"}):  # fmt: skip
        with pytest.raises(RawFrameError, match="the stage of a shuffled frame is one of post-adc, pre-adc"):
            make_frame(**wrong)
