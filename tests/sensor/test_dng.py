import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Multiplexer
from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS, RawFileError, RawFrame, develop, raw_writer
from sensor.dng import DOUBLE, LONG, RATIONAL, SHORT, dng_header
from tests.sensor.frames import make_frame


def assert_same_frame(a, b):
    for name, value in a.__dict__.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(b, name), value, err_msg=name)
        else:
            assert getattr(b, name) == value, name


@settings(deadline=None, max_examples=25)
@given(st.integers(22, 60), st.integers(22, 60), st.sampled_from([*BAYER, QUAD_BAYER, X_TRANS, MONO]))
def test_rawpy_reads_the_mosaic_back_bit_for_bit(tmp_path_factory, height, width, cfa):
    path = tmp_path_factory.mktemp("dng") / "a.dng"
    frame = make_frame(height, width, cfa, seed=height * width)
    frame.save(path)
    with rawpy.imread(str(path)) as raw:
        np.testing.assert_array_equal(raw.raw_image, frame.mosaic)
        assert raw.white_level == 4000
        assert set(raw.black_level_per_channel) == {64}
    assert_same_frame(frame, RawFrame.load(path))


def test_a_shuffled_frame_comes_back_with_its_nonce_and_without_the_key(tmp_path, key):
    path = tmp_path / "a.dng"
    frame = make_frame(33, 47).shuffle(Multiplexer(key, pattern="tiles:4", unit="plane"))
    frame.save(path)
    loaded = RawFrame.load(path)
    assert_same_frame(frame, loaded)
    np.testing.assert_array_equal(loaded.unshuffle(key).mosaic, make_frame(33, 47).mosaic)
    content = path.read_bytes()
    assert key.id.encode() in content
    assert frame.nonce.hex().encode() in content
    assert key.to_bytes() not in content
    assert key.to_bytes().hex().encode() not in content


@pytest.mark.parametrize("cfa", BAYER)
def test_other_software_finds_colour_black_and_neutral_in_the_standard_tags(tmp_path, cfa):
    black = np.array([[10.0, 20.0], [30.0, 40.0]])
    path = tmp_path / "a.dng"
    frame = make_frame(40, 50, cfa, black_level=black)
    frame.save(path)
    with rawpy.imread(str(path)) as raw:
        pattern = raw.raw_pattern
        assert "".join("RGBG"[i] for i in pattern.ravel()) == cfa
        np.testing.assert_array_equal(np.array(raw.black_level_per_channel)[pattern], black)
        np.testing.assert_allclose(raw.camera_whitebalance[:3], frame.white_balance, rtol=1e-4)
        # LibRaw finds our matrix again from XYZ: its own XYZ to sRGB constants have four digits.
        np.testing.assert_allclose(raw.color_matrix[:, :3], frame.color_matrix, atol=2e-3)


def test_tifffile_agrees_on_every_tag(tmp_path):
    path = tmp_path / "a.dng"
    frame = make_frame(24, 31)
    frame.save(path)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        tags = {tag.code: tag.value for tag in page.tags.values()}
        np.testing.assert_array_equal(page.asarray(), frame.mosaic)
    assert tags[262] == 32803
    assert tags[33421] == (2, 2)
    assert bytes(tags[33422]) == b"\0\1\1\2"
    assert bytes(tags[50706]) == b"\1\4\0\0"
    assert tags[50717] == 4000
    assert tags[34665]["ExposureTime"] == (1, 100)
    # Variance of x in [0, 1]: K/span x + (K sigma/span)^2 with K 0.5, sigma 3, span 3936.
    np.testing.assert_allclose(tags[51041], [0.5 / 3936, (1.5 / 3936) ** 2])
    assert json.loads(bytes(tags[50740]).removeprefix(b"ShuffleCam\0"))["version"] == 1


def test_the_header_by_hand():
    header = dng_header((2, 3), {262: (SHORT, [7])}, {33434: (RATIONAL, [0.25])})
    assert header[:8] == b"II*\0\x08\0\0\0"
    count = struct.unpack_from("<H", header, 8)[0]
    entries = [struct.unpack_from("<HHII", header, 10 + 12 * i) for i in range(count)]
    assert [entry[0] for entry in entries] == sorted(entry[0] for entry in entries)
    found = {tag: value for tag, _, _, value in entries}
    assert (found[256], found[257], found[262], found[279]) == (3, 2, 7, 12)
    assert found[273] == len(header)
    assert len(header) % 16 == 0
    at = struct.unpack_from("<I", header, found[34665] + 10)[0]
    assert struct.unpack_from("<II", header, at) == (1, 4)
    assert {SHORT, LONG, DOUBLE} == {3, 4, 12}


@pytest.mark.parametrize("name", ["imx477", '"nonce": "00112233445566778899aabbccddeeff"'])
def test_a_header_kept_from_an_earlier_frame_is_the_one_laid_out_anew(key, monkeypatch, name):
    frames = [
        replace(frame, sensor=name, exposure_s=exposure_s)
        for exposure_s in (0.01, 0.02)
        for frame in (make_frame(24, 30), make_frame(24, 30).shuffle(Multiplexer(key), bytes(range(16))))
    ]
    frames += [replace(make_frame(24, 30), sensor=name).shuffle(Multiplexer(key)) for _ in range(3)]
    kept = [raw_writer.dng_parts(frame, "a.dng")[0] for frame in frames]
    for frame, header in zip(frames, kept, strict=True):
        monkeypatch.setattr(raw_writer, "_TEMPLATES", {})
        assert raw_writer.dng_parts(frame, "a.dng")[0] == header
    assert len(set(kept)) == len(kept)


def test_small_frames_and_other_endings_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(RawFileError, match=r"21 x 30 is too small for DNG.*22 x 22"):
        make_frame(21, 30).save(tmp_path / "a.dng")
    with pytest.raises(RawFileError, match=r"end in .dng"):
        make_frame().save(tmp_path / "a.png")
    with pytest.raises(RawFileError, match=r"cannot write"):
        make_frame().save(tmp_path / "nowhere" / "a.dng")
    (tmp_path / "b.dng").mkdir()
    with pytest.raises(RawFileError, match=r"cannot write"):
        make_frame().save(tmp_path / "b.dng")
    assert [p.name for p in tmp_path.iterdir()] == ["b.dng"]


def test_numpy_numbers_are_saved_like_plain_ones(tmp_path):
    frame = make_frame(exposure_s=np.float32(0.5), bit_depth=np.int64(12), white_level=np.uint16(4000))
    frame.save(tmp_path / "a.dng")
    assert_same_frame(make_frame(exposure_s=0.5), RawFrame.load(tmp_path / "a.dng"))


@pytest.mark.parametrize("exposure_s", [None, 0.0, 1e-7, 1 / 3, 0.01, 30.0, 9e4])
def test_exposure_times_come_back(tmp_path, exposure_s):
    make_frame(exposure_s=exposure_s).save(tmp_path / "a.dng")
    assert RawFrame.load(tmp_path / "a.dng").exposure_s == exposure_s
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        np.testing.assert_allclose(raw.other.shutter_speed, exposure_s or 0, rtol=1e-5)


def test_saving_replaces_a_file_in_one_step_and_leaves_no_other(tmp_path):
    path = tmp_path / "a.dng"
    path.write_bytes(b"old")
    make_frame().save(path)
    assert_same_frame(make_frame(), RawFrame.load(path))
    assert [p.name for p in tmp_path.iterdir()] == ["a.dng"]


def test_files_that_are_no_raw_are_refused_by_name(tmp_path):
    for name, content in (("empty.dng", b""), ("text.dng", b"hello"), ("noise.dng", bytes(range(256)) * 99)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RawFileError, match=name):
            RawFrame.load(tmp_path / name)
    with pytest.raises(RawFileError, match=r"gone.dng.*No such file"):
        RawFrame.load(tmp_path / "gone.dng")
    with pytest.raises(RawFileError, match="folder"):
        RawFrame.load(tmp_path)


def test_a_file_cut_anywhere_is_refused_by_name(tmp_path):
    path = tmp_path / "cut.dng"
    make_frame(60, 80).save(path)
    whole = path.read_bytes()
    for keep in range(1, len(whole), 97):
        path.write_bytes(whole[:keep])
        with pytest.raises(RawFileError, match=r"cut.dng"):
            RawFrame.load(path)


def test_a_header_that_claims_a_giant_frame_is_refused(tmp_path):
    path = tmp_path / "giant.dng"
    make_frame(40, 50).save(path)
    whole = bytearray(path.read_bytes())
    for at in range(10, 200, 12):
        if struct.unpack_from("<H", whole, at)[0] in (256, 257, 278):
            struct.pack_into("<I", whole, at + 8, 30000)
    path.write_bytes(whole)
    with pytest.raises(RawFileError, match=r"giant.dng"):
        RawFrame.load(path)


def test_damaged_files_give_a_frame_or_one_sentence(tmp_path, key):
    """Mutants of a file: random bytes in the header, cuts, doubled pieces. Nothing but RawFileError may come out."""
    path = tmp_path / "m.dng"
    make_frame(22, 24).shuffle(Multiplexer(key)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    refused, sentences = 0, set()
    for _ in range(600):
        mutant = bytearray(whole)
        for at in rng.integers(0, len(whole) - 1056, rng.integers(1, 5)):
            mutant[at] = rng.integers(256)
        if rng.random() < 0.2:
            del mutant[int(rng.integers(len(mutant))) :]
        path.write_bytes(mutant)
        try:
            RawFrame.load(path)
        except RawFileError as error:
            sentences.add(str(error))
            refused += 1
    assert refused > 50
    assert all("m.dng" in sentence and "\n" not in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 99}, "format 99"),
        ({"height": 5}, "another size"),
        ({"cfa": "RGXB"}, "RGXB"),
        ({"bit_depth": "12"}, "damaged"),
        ({"black_level": "high"}, "damaged"),
        ({"white_level": 1e9}, "damaged"),
        ({"readout": {"key_id": "x"}}, "damaged"),
        ({"readout": 7}, "damaged"),
    ],
)
def test_false_metadata_are_refused(tmp_path, change, sentence, monkeypatch):
    import sensor.raw_writer as writer

    truth = writer._private
    monkeypatch.setattr(writer, "_private", lambda frame: {**truth(frame), **change})
    monkeypatch.setattr(writer, "_TEMPLATES", {})  # neither use a true header nor keep a false one
    make_frame().save(tmp_path / "a.dng")
    with pytest.raises(RawFileError, match=sentence):
        RawFrame.load(tmp_path / "a.dng")


@pytest.mark.parametrize(
    ("name", "shape", "cfa", "black", "white", "bits"),
    [
        ("kodak_dc50.kdc", (512, 768), "GRBG", 0, 16383, 14),
        ("nikon_rose_768x512_rggb14.dng", (512, 768), "RGGB", 600, 15520, 14),
        ("infinite_isp_indoor1_2592x1536_grbg8.dng", (1536, 2592), "GRBG", 12, 255, 8),
        ("infinite_isp_outdoor1_2592x1536_grbg8.dng", (1536, 2592), "GRBG", 12, 255, 8),
    ],
)
def test_files_of_other_cameras_are_read_as_they_are(data, key, tmp_path, name, shape, cfa, black, white, bits):
    frame = RawFrame.load(data / "raw" / name)
    assert (frame.shape, frame.cfa, frame.white_level, frame.bit_depth) == (shape, cfa, white, bits)
    np.testing.assert_array_equal(frame.black_level, black)
    assert frame.white_balance.min() == 1
    np.testing.assert_allclose(frame.color_matrix.sum(1), 1, atol=1e-5)
    assert frame.gain_dn_per_e is None
    with rawpy.imread(str(data / "raw" / name)) as raw:
        np.testing.assert_array_equal(frame.mosaic, raw.raw_image)
        assert frame.exposure_s == (float(raw.other.shutter_speed) or None)
    # Shuffled after the fact, saved, loaded and developed with the key: the picture of the natural frame.
    shuffled = frame.shuffle(Multiplexer(key))
    shuffled.save(tmp_path / "s.dng")
    loaded = RawFrame.load(tmp_path / "s.dng")
    np.testing.assert_array_equal(develop(loaded, key), develop(frame))


def test_files_of_other_cameras_cut_short_are_refused_by_name(data, tmp_path):
    for source in sorted((data / "raw").iterdir()):
        whole = source.read_bytes()
        path = tmp_path / source.name
        for keep in (len(whole) // 20, len(whole) // 2, len(whole) - 9):
            path.write_bytes(whole[:keep])
            with pytest.raises(RawFileError, match=source.name):
                RawFrame.load(path)


def test_a_dng_that_lost_our_metadata_is_read_like_any_other(tmp_path):
    black = np.array([[10.0, 20.0], [30.0, 40.0]])
    frame = make_frame(40, 51, "GBRG", black_level=black)
    frame.save(tmp_path / "a.dng")
    stripped = (tmp_path / "a.dng").read_bytes().replace(b"ShuffleCam\0{", b"Something_e{")
    (tmp_path / "a.dng").write_bytes(stripped)
    loaded = RawFrame.load(tmp_path / "a.dng")
    np.testing.assert_array_equal(loaded.mosaic, frame.mosaic)
    np.testing.assert_array_equal(loaded.black_level, black)
    np.testing.assert_allclose(loaded.white_balance, frame.white_balance, rtol=1e-4)
    assert (loaded.cfa, loaded.white_level, loaded.is_shuffled) == ("GBRG", 4000, False)


@pytest.mark.parametrize("data", [b"abc", b"Adobe\0MakN" + bytes(3_000_000)], ids=["short", "long"])
def test_private_data_of_other_software_are_left_alone(tmp_path: Path, data: bytes) -> None:
    mosaic = np.random.default_rng(0).integers(0, 4096, (40, 52), dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "foreign.dng", mosaic, photometric=32803, software="other",
        extratags=[
            (33421, 3, 2, (2, 2), True), (33422, 1, 4, (0, 1, 1, 2), True), (50706, 1, 4, (1, 4, 0, 0), True),
            (50717, 4, 1, 4095, True), (50740, 1, len(data), data, True),
        ],
    )  # fmt: skip
    frame = RawFrame.load(tmp_path / "foreign.dng")
    assert not frame.is_shuffled
    np.testing.assert_array_equal(frame.mosaic, mosaic)
