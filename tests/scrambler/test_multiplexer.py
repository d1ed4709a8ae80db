import pickle
import warnings
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import (
    FixedNonceError,
    FixedNonceWarning,
    FrameError,
    Key,
    MissingKeyError,
    Multiplexer,
    NonceError,
    PatternError,
    Permutation,
    SecretPickleError,
    ShuffleCamError,
    keyed_permutation,
    list_patterns,
)

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
PATTERNS = ["frame", "rows", "columns", "rows+columns", "lines:2", "tiles:3", "blocks:2"]
UNITS = ["pixel", "quad", "plane"]
PERIODS = [(2, 2), (4, 4), (6, 6), (1, 3)]


def places(pattern, unit="pixel", shape=(7, 9), period=(2, 2)):
    """Row and column that each slot of the frame is read from."""
    p = Multiplexer(KEY, pattern, unit).permutation(shape, NONCE, period=period)
    return (axis.reshape(shape) for axis in np.divmod(p.source.astype(int), shape[1]))


@given(
    st.sampled_from(PATTERNS),
    st.sampled_from(UNITS),
    st.sampled_from(PERIODS),
    st.tuples(st.integers(0, 14), st.integers(0, 15)),
)
@settings(deadline=None, max_examples=120)
def test_every_pattern_and_unit_is_a_permutation_of_any_frame(pattern, unit, period, shape):
    p = Multiplexer(KEY, pattern, unit).permutation(shape, NONCE, period=period)
    assert p == Permutation(p.source, shape)


@given(
    st.sampled_from(PATTERNS),
    st.sampled_from(["quad", "plane"]),
    st.sampled_from(PERIODS),
    st.tuples(st.integers(1, 14), st.integers(1, 15)),
)
@settings(deadline=None, max_examples=80)
def test_quads_and_planes_keep_every_photosite_on_its_colour(pattern, unit, period, shape):
    rows, columns = places(pattern, unit, shape, period)
    y, x = np.indices(shape)
    np.testing.assert_array_equal(rows % period[0], y % period[0])
    np.testing.assert_array_equal(columns % period[1], x % period[1])


@pytest.mark.parametrize("shape", [(6, 8), (7, 9), (700, 900)])
def test_the_whole_frame_by_pixels_is_the_keyed_permutation(shape):
    p = Multiplexer(KEY, unit="pixel").permutation(shape, NONCE)
    assert p == keyed_permutation(KEY, shape, NONCE, "readout")


def test_rows_stay_together():
    rows, columns = places("rows")
    assert (columns == np.arange(9)).all()
    assert (rows == rows[:, :1]).all()
    assert rows[:, 0].tolist() != list(range(7))


def test_columns_are_drawn_anew_for_every_row():
    rows, columns = places("columns")
    assert (rows == np.arange(7)[:, None]).all()
    assert len({tuple(row) for row in columns.tolist()}) == 7


def test_rows_and_columns_do_both():
    rows, columns = places("rows+columns")
    assert (rows == rows[:, :1]).all()
    assert rows[:, 0].tolist() != list(range(7))
    assert len({tuple(row) for row in columns.tolist()}) == 7


def test_line_buffers_keep_their_lines_and_the_last_one_is_shorter():
    rows, columns = places("lines:3")
    assert (rows // 3 == np.arange(7)[:, None] // 3).all()
    assert (rows[:3] != np.arange(3)[:, None]).any()
    assert (rows[6] == 6).all()
    assert columns[6].tolist() != list(range(9))


def test_tiles_stay_in_place_also_the_incomplete_ones():
    rows, columns = places("tiles:4", shape=(10, 11))
    y, x = np.indices((10, 11))
    assert (rows // 4 == y // 4).all()
    assert (columns // 4 == x // 4).all()
    for corner in ((slice(0, 4), slice(0, 4)), (slice(8, 10), slice(8, 11))):
        assert (rows[corner] != y[corner]).any()


def test_blocks_move_with_their_insides_and_incomplete_ones_along_their_edge():
    rows, columns = places("blocks:3", shape=(10, 11))
    inside_y, inside_x = rows - rows // 3 * 3, columns - columns // 3 * 3
    y, x = np.indices((10, 11))
    np.testing.assert_array_equal(inside_y, y % 3)
    np.testing.assert_array_equal(inside_x, x % 3)
    assert (columns[:, 9:] >= 9).all()
    assert (rows[9] == 9).all()
    assert (rows[:9, :9] // 3 != y[:9, :9] // 3).any()


def test_quads_move_whole_and_the_rest_among_its_own_kind():
    rows, columns = places("frame", "quad", (7, 9))
    for y in range(0, 6, 2):
        for x in range(0, 8, 2):
            corner = (rows[y, x], columns[y, x])
            assert (rows[y : y + 2, x : x + 2] - corner[0]).tolist() == [[0, 0], [1, 1]]
            assert (columns[y : y + 2, x : x + 2] - corner[1]).tolist() == [[0, 1], [0, 1]]
    assert (columns[:6, 8] == 8).all()
    assert (rows[6, :8] == 6).all()
    assert (rows[6, 8], columns[6, 8]) == (6, 8)


def test_each_colour_plane_follows_the_pattern_on_its_own():
    rows, columns = places("rows", "plane", (8, 6))
    orders = {tuple(rows[y::2, x] // 2) for y in (0, 1) for x in (0, 1)}
    assert len(orders) > 1
    assert (columns == np.arange(6)).all()


def test_the_number_of_a_pattern_counts_units():
    rows, columns = places("tiles:2", "quad", (16, 16))
    y, x = np.indices((16, 16))
    assert (rows // 4 == y // 4).all()
    assert (columns // 4 == x // 4).all()


def test_pattern_unit_period_size_and_nonce_all_enter_the_derivation():
    mux = Multiplexer(KEY, "columns")
    base = mux.permutation((12, 12), NONCE)
    for other in (
        mux.permutation((12, 12), bytes(16)),
        mux.permutation((12, 12), NONCE, "plane"),
        Multiplexer(KEY, "lines:1").permutation((12, 12), NONCE),
        Multiplexer(Key.from_bytes(bytes(32)), "columns").permutation((12, 12), NONCE),
    ):
        assert base != other
    one_row = mux.permutation((2, 40), NONCE).source[:40]
    assert (one_row != mux.permutation((4, 40), NONCE).source[:40]).any()


def test_format_v1_of_all_patterns_never_changes():
    digest = sha256()
    for pattern in PATTERNS:
        for unit in UNITS:
            digest.update(Multiplexer(KEY, pattern, unit).permutation((21, 26), NONCE).source.astype("<u4").tobytes())
    assert digest.hexdigest() == "8e92095cf055168efaefa31681bc7a23245798f3f136812db2d6b393f506aa6d"


def test_a_large_mosaic_uses_the_same_definition():
    shape = (1200, 1001)
    rows, columns = places("frame", "quad", shape)
    _, x = np.indices(shape)
    np.testing.assert_array_equal(np.sort((rows * 1001 + columns).ravel()), np.arange(1200 * 1001))
    np.testing.assert_array_equal(rows[::2, :1000:2] + 1, rows[1::2, 1:1000:2])
    np.testing.assert_array_equal(columns % 2, x % 2)


def test_mosaics_move_by_quads_and_colour_pixels_one_by_one_by_default():
    mux = Multiplexer(KEY)
    mosaic, rgb = np.arange(48).reshape(6, 8), np.arange(144).reshape(6, 8, 3)
    shuffled, nonce = mux.shuffle(mosaic, NONCE)
    assert nonce == NONCE
    np.testing.assert_array_equal(shuffled, mux.permutation((6, 8), NONCE, "quad").shuffle(mosaic))
    by_pixels = mux.permutation((6, 8), NONCE, "pixel").shuffle(rgb, channels_last=True)
    np.testing.assert_array_equal(Multiplexer(KEY).shuffle(rgb, NONCE)[0], by_pixels)
    by_planes = Multiplexer(KEY, unit="plane")
    np.testing.assert_array_equal(by_planes.shuffle(mosaic, NONCE)[0], mux.shuffle(mosaic, NONCE, unit="plane")[0])


@given(st.sampled_from(PATTERNS), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([(), (3,)]))
@settings(deadline=None, max_examples=40)
def test_unshuffling_gives_every_frame_back(pattern, shape, channels):
    mux = Multiplexer(Key.generate(), pattern)
    frame = np.random.default_rng(1).integers(0, 4096, shape + channels).astype(np.uint16)
    shuffled, nonce = mux.shuffle(frame)
    np.testing.assert_array_equal(mux.unshuffle(shuffled, nonce), frame)
    assert shuffled.dtype == np.uint16


def test_batches_have_a_nonce_per_frame():
    mux = Multiplexer(KEY)
    frames = np.arange(5 * 48, dtype=np.uint16).reshape(5, 6, 8)
    shuffled, nonces = mux.shuffle_batch(frames)
    assert len(set(nonces)) == 5
    for frame, one, nonce in zip(frames, shuffled, nonces, strict=True):
        np.testing.assert_array_equal(one, mux.shuffle(frame, nonce)[0])
    np.testing.assert_array_equal(mux.unshuffle_batch(shuffled, nonces), frames)
    with pytest.raises(NonceError, match="4 nonces were given for 5 frames"):
        mux.unshuffle_batch(shuffled, nonces[:4])
    with pytest.raises(NonceError, match="needs nonces="):
        mux.unshuffle_batch(shuffled, None)


def test_a_list_of_frames_may_mix_sizes_and_gives_a_list():
    mux = Multiplexer(KEY)
    frames = [np.arange(12).reshape(3, 4), np.arange(90).reshape(5, 6, 3)]
    shuffled, nonces = mux.shuffle_batch(frames)
    assert [one.shape for one in shuffled] == [(3, 4), (5, 6, 3)]
    for frame, back in zip(frames, mux.unshuffle_batch(shuffled, nonces), strict=True):
        np.testing.assert_array_equal(frame, back)


def test_one_nonce_for_a_batch_is_guarded():
    mux, frames = Multiplexer(KEY), np.zeros((17, 4, 4), np.uint8)
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        mux.shuffle_batch(frames[:2], NONCE)
    with pytest.raises(FixedNonceError, match="allow_many=True"):
        mux.shuffle_batch(frames, NONCE, fixed_nonce=True)
    with pytest.warns(FixedNonceWarning):
        _, nonces = mux.shuffle_batch(frames, NONCE, fixed_nonce=True, allow_many=True)
    assert nonces == [NONCE] * 17
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mux.unshuffle_batch(frames, NONCE)


def test_the_key_is_named_in_no_repr_and_no_pickle():
    mux = Multiplexer(KEY, "tiles:4")
    assert repr(mux) == f"Multiplexer(key={KEY!r}, pattern='tiles:4', unit=None, generator='table')"
    with pytest.raises(SecretPickleError):
        pickle.dumps(mux)
    assert mux == Multiplexer(Key.from_bytes(KEY.to_bytes()), "tiles:4")


def test_every_listed_pattern_says_what_it_leaks():
    for name in list_patterns():
        assert Multiplexer(KEY, name.replace(":T", ":8").replace(":L", ":8")).leak


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "tile",
        "frames",
        "frame:2",
        "rows:",
        "tiles",
        "tiles:",
        "tiles:1",
        "tiles:-3",
        "tiles:x",
        "lines:0",
        None,
        "tiles:²",
    ],
)
def test_patterns_that_do_not_exist_are_refused(pattern):
    with pytest.raises(PatternError, match="pattern") as caught:
        Multiplexer(KEY, pattern)
    assert isinstance(caught.value, ShuffleCamError)


@pytest.mark.parametrize("unit", ["", "Quad", "pixels", 2])
def test_units_that_do_not_exist_are_refused(unit):
    with pytest.raises(PatternError, match="there is no unit"):
        Multiplexer(KEY, unit=unit)
    if unit:
        with pytest.raises(PatternError, match="there is no unit"):
            Multiplexer(KEY).permutation((4, 4), NONCE, unit)


@pytest.mark.parametrize("period", [(0, 2), (2,), 2, (2, 65), (2.0, 2), "22", None])
def test_periods_that_do_not_exist_are_refused(period):
    with pytest.raises(PatternError, match="period is a pair"):
        Multiplexer(KEY).permutation((4, 4), NONCE, period=period)


def test_missing_keys_nonces_and_sizes_are_one_sentence_each():
    with pytest.raises(MissingKeyError, match="a multiplexer needs key="):
        Multiplexer(None)
    with pytest.raises(NonceError, match="a readout needs nonce="):
        Multiplexer(KEY).permutation((4, 4), None)
    with pytest.raises(NonceError, match="16 bytes"):
        Multiplexer(KEY).shuffle(np.zeros((4, 4)), b"short")
    with pytest.raises(PatternError, match="size of a frame"):
        Multiplexer(KEY).permutation(16, NONCE)
    with pytest.raises(FrameError, match="a frame has the shape"):
        Multiplexer(KEY).shuffle(np.zeros(16))
