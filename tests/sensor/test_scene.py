import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scrambler.errors import ShuffleCamError
from sensor import Scene, SceneError, srgb_decode, srgb_encode
from sensor.image_file import read_image
from sensor.srgb import XYZ_FROM_SRGB, srgb_table

RNG = np.random.default_rng(8)
PHOTO = cv2.GaussianBlur(RNG.integers(0, 256, (40, 56, 3)).astype(np.uint8), (0, 0), 3)


def scene_pixels(scene):
    return scene.rows(0, scene.shape[0])


def exact_linear(codes, top):
    """The standard's formula, number by number."""
    values = [code / top for code in np.ravel(codes)]
    return np.reshape([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values], np.shape(codes))


def test_srgb_curve_by_hand_and_back():
    # 0.04045 / 12.92 = 0.003130805; 0.5 -> ((0.555)/1.055)^2.4 = 0.2140411.
    np.testing.assert_allclose(srgb_decode([0, 0.04045, 0.5, 1]), [0, 0.0031308, 0.2140411, 1], atol=1e-7)
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(srgb_encode(srgb_decode(values)), values, atol=2e-8)


def test_the_xyz_matrix_is_the_one_of_the_standard():
    # IEC 61966-2-1, rounded to four digits there.
    published = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    np.testing.assert_allclose(XYZ_FROM_SRGB, published, atol=1.5e-4)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".bmp", ".ppm"])
def test_eight_bit_colour_is_decoded_exactly(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), PHOTO[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])
    scene = Scene.from_image(path)
    assert scene.shape == PHOTO.shape[:2]
    np.testing.assert_allclose(scene_pixels(scene), exact_linear(PHOTO, 255), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    codes = RNG.integers(0, 65536, (9, 12, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), codes[:, :, ::-1])
    np.testing.assert_allclose(
        scene_pixels(Scene.from_image(tmp_path / f"a{suffix}")), exact_linear(codes, 65535), rtol=1e-6
    )


def test_grey_appears_in_all_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "g.png"), PHOTO[:, :, 0])
    pixels = scene_pixels(Scene.from_image(tmp_path / "g.png"))
    for channel in range(3):
        np.testing.assert_allclose(pixels[:, :, channel], exact_linear(PHOTO[:, :, 0], 255), rtol=1e-6)


def test_alpha_is_dropped_and_the_colour_under_it_kept(tmp_path):
    alpha = RNG.integers(0, 256, PHOTO.shape[:2]).astype(np.uint8)
    Image.fromarray(np.dstack([PHOTO, alpha])).save(tmp_path / "a.png")
    np.testing.assert_allclose(scene_pixels(Scene.from_image(tmp_path / "a.png")), exact_linear(PHOTO, 255), rtol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(tmp_path / "a.png", exif=exif)
    turned = {
        1: PHOTO,
        2: PHOTO[:, ::-1],
        3: PHOTO[::-1, ::-1],
        4: PHOTO[::-1],
        5: PHOTO.transpose(1, 0, 2),
        6: PHOTO[::-1].transpose(1, 0, 2),
        7: PHOTO[::-1, ::-1].transpose(1, 0, 2),
        8: PHOTO[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    np.testing.assert_allclose(scene_pixels(Scene.from_image(tmp_path / "a.png")), exact_linear(turned, 255), rtol=1e-6)


@pytest.mark.parametrize("kind", ["colour", "progressive", "RGB inside", "turned", "grey", "CMYK"])
def test_jpegs_of_every_kind_are_read_as_they_look(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(PHOTO).convert({"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB"))
    options = {"progressive": {"progressive": True}, "RGB inside": {"keep_rgb": True}, "turned": {"exif": exif}}
    picture.save(tmp_path / "a.jpg", quality=100, **options.get(kind, {}))
    decoded = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_COLOR)[:, :, ::-1]
    found = read_image(tmp_path / "a.jpg")
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, decoded[:, :, 0] if kind == "grey" else decoded)


def picture_bytes(suffix):
    return cv2.imencode(suffix, PHOTO)[1].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".bmp"])
def test_a_picture_cut_short_anywhere_is_refused_by_name(tmp_path, suffix):
    whole = picture_bytes(suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole)
    Scene.from_image(path)
    for keep in (1, 2, 9, 30, len(whole) // 3, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 3):
        path.write_bytes(whole[:keep])
        with pytest.raises(SceneError, match="cut"):
            Scene.from_image(path)


def test_a_progressive_jpeg_with_a_thumbnail_is_read_and_refused_when_cut(tmp_path):
    path = tmp_path / "p.jpg"
    thumbnail = picture_bytes(".jpg")
    exif = Image.Exif()
    exif[0x9286] = thumbnail  # holds an end-of-image marker, as an embedded preview does
    Image.fromarray(PHOTO).save(path, progressive=True, exif=exif)
    whole = path.read_bytes()
    assert whole.count(b"\xff\xd9") == 2
    assert Scene.from_image(path).shape == PHOTO.shape[:2]
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(SceneError, match="cut short"):
        Scene.from_image(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"hello, this is a letter", "not a picture"), (bytes(range(256)) * 20, "not a picture")],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "strange.png"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=f"strange.png.*{reason}"):
        Scene.from_image(path)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(SceneError, match=r"nowhere.png.*No such file"):
        Scene.from_image(tmp_path / "nowhere.png")
    with pytest.raises(SceneError, match="folder"):
        Scene.from_image(tmp_path)


def test_a_header_that_claims_a_giant_picture_is_refused(tmp_path):
    whole = bytearray(picture_bytes(".png"))
    whole[16:24] = (60000).to_bytes(4, "big") * 2
    (tmp_path / "giant.png").write_bytes(whole)
    with pytest.raises(SceneError, match=r"giant.png"):
        Scene.from_image(tmp_path / "giant.png")


def test_float_pictures_are_refused_with_advice(tmp_path):
    cv2.imwrite(str(tmp_path / "f.tiff"), PHOTO.astype(np.float32))
    with pytest.raises(SceneError, match="from_array"):
        Scene.from_image(tmp_path / "f.tiff")


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4)),
        np.zeros(7),
        np.zeros((0, 4, 3)),
        np.full((4, 4), -0.1),
        np.full((4, 4), np.nan),
        np.full((4, 4), np.inf),
        np.full((4, 4), 1e9),
        "text",
    ],
)
def test_arrays_that_are_no_light_are_refused(bad):
    with pytest.raises(SceneError):
        Scene.from_array(bad)
    assert issubclass(SceneError, ShuffleCamError)


def test_a_scene_does_not_change_with_the_array_it_came_from():
    light = np.full((4, 4), 0.5, np.float32)
    scene = Scene.from_array(light)
    light[:] = 0
    np.testing.assert_array_equal(scene_pixels(scene), np.float32(0.5))


def test_fit_averages_areas_of_the_centred_part():
    # 4 x 8 to 2 x 2: the middle 4 x 4, in means of 2 x 2.
    light = np.arange(32.0).reshape(4, 8)
    fitted = scene_pixels(Scene.from_array(light).fit((2, 2)))
    expected = light[:, 2:6].reshape(2, 2, 2, 2).mean((1, 3))
    np.testing.assert_allclose(fitted[:, :, 0], expected, rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30))
def test_fit_keeps_a_flat_scene_flat_at_any_size(height, width, rows, columns):
    fitted = Scene.from_array(np.full((height, width, 3), 0.3)).fit((rows, columns))
    assert fitted.shape == (rows, columns)
    np.testing.assert_allclose(scene_pixels(fitted), 0.3, rtol=1e-5)


def test_from_raw_reads_real_files_as_linear_light(data):
    for name in ("nikon_rose_768x512_rggb14.dng", "kodak_dc50.kdc"):
        scene = Scene.from_raw(data / "raw" / name)
        pixels = scene_pixels(scene)
        assert min(scene.shape) > 400
        assert 0 <= pixels.min() < 0.05 < pixels.mean() < pixels.max() <= 1


def test_the_shared_table_of_light_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        srgb_table(255)[0] = 1
