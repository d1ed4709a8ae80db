"""A plain network, converted with scheme=, reads protected frames and gives what it gives for the plain ones."""

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from networks import ConversionError, LabelledImages, LockedError, convert, export_onnx, load_pretrained
from networks.affine import AffineConv2d, affine_conv2d
from networks.evaluation import image_tensor
from networks.layers import Normalize, Scale
from scrambler import (
    ChannelAffine,
    FixedNonceError,
    FixedNonceWarning,
    Key,
    NonceError,
    ShuffleCamError,
    WrongKeyError,
    list_schemes,
    scheme,
)
from scrambler.errors import FrameError, SchemeError
from scrambler.schemes import AffineScheme

KEY = Key.from_bytes(bytes(range(32)))
CARDS = [scheme(name).card for name in list_schemes()]
EXACT = [card.name for card in CARDS if card.network.startswith("exact")]
OTHERS = [card.name for card in CARDS if not card.network.startswith("exact")]
AFFINE = [name for name in EXACT if isinstance(scheme(name), AffineScheme)]
ASKED_FOR = {"negative-positive", "negative-positive+color", "mat", "mmt", "shuffle+mask"}
pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(shape: tuple[int, ...], dtype: Any = np.uint8, seed: int = 1) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def tensor(images: NDArray[Any]) -> Tensor:
    """Images (B, H, W, C) as float64 frames (B, C, H, W) from black, 0, to white, 1."""
    return torch.from_numpy(np.moveaxis(images, -1, 1).astype(np.float64) / np.iinfo(images.dtype).max)


class Branches(nn.Module):
    """Three convolutions read the frame: one bare, one with groups, one behind the normalisation."""

    def __init__(self, padding_mode: str = "zeros", stride: int = 1) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.normalize = Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
        self.dim = Scale(0.5)
        same: Any = {"padding_mode": padding_mode, "stride": stride}
        self.wide = nn.Conv2d(3, 4, (3, 5), padding=(1, 2), **same)
        self.grouped = nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False, **same)
        self.point = nn.Conv2d(3, 2, 1, stride=stride)
        self.head = nn.Conv2d(12, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dim(self.normalize(x))
        both: Tensor = self.head(torch.cat([self.wide(y), self.grouped(x), self.point(y)], 1).relu())
        return both


def agree(model: nn.Module, s: Any, images: NDArray[Any], **options: Any) -> None:
    """Check the converted network's maps against the plain network on what the key holder reveals."""
    protected = s.protect(images)
    keyed = convert(model, KEY, images.shape[1:3], channels=images.shape[3], scheme=s, **options)
    with torch.no_grad():
        maps = keyed.read(protected)
        expected = model(tensor(s.reveal(protected)))
    torch.testing.assert_close(keyed.unshuffle(maps) if keyed.plan[-1].writes != "natural" else maps, expected,
                               rtol=1e-12, atol=1e-12)  # fmt: skip


def test_one_layer_by_hand() -> None:
    # Values 10 and 20 of one row change places; the first is negated in 8 bits, the second times 3 plus 4: 60+4, 245.
    values = torch.tensor([[64, 245]], dtype=torch.int32)
    # A 1x2 kernel with one column of black at each side; slot 1 holds the first value.
    index = torch.tensor([[0, 1], [1, 0], [0, 0]])[None, None]
    factor = torch.tensor([[0.0, -1.0], [-1.0, 1 / 3], [1 / 3, 0.0]], dtype=torch.float64)[None, None]
    addend = torch.tensor([[0.0, 255.0], [255.0, -4 / 3], [-4 / 3, 0.0]], dtype=torch.float64)[None, None]
    weight = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
    out = affine_conv2d(values, index, factor, addend, weight)
    torch.testing.assert_close(out.flatten(), torch.tensor([20.0, 50.0, 20.0], dtype=torch.float64), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", ["negative-positive+color", "sit", "mat"])
def test_whole_numbers_are_bit_for_bit_through_one_layer(name: str) -> None:
    # Weights of 255 and whole numbers undo the network's division by 255: sums stay whole and far below 2**53.
    conv = nn.Conv2d(3, 5, 3, stride=2, padding=1).double()
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(torch.randint(-9, 10, parameter.shape))
    images = drawn((4, 8, 12, 3))
    s: Any = scheme(name, key=KEY)
    protected = s.protect(images)
    table = s.affine_map((8, 12, 3), (protected.nonces or (None,))[0])
    place, factor, addend = (torch.from_numpy(part)[None] for part in table.inverse((8, 12)))
    layer = AffineConv2d(conv, (8, 12))
    values = torch.from_numpy(np.moveaxis(np.asarray(protected)[:1], -1, 1).copy())
    with torch.no_grad():
        out = layer(values, place, torch.stack([factor, addend], 1))
        assert torch.equal(out, conv(torch.from_numpy(np.moveaxis(images[:1], -1, 1).astype(np.float64))))


def test_what_the_issue_asks_for_is_exact() -> None:
    assert set(EXACT) >= ASKED_FOR


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_every_card_that_says_exact_keeps_its_word(name: str, padding_mode: str) -> None:
    agree(Branches(padding_mode, stride=2).double().eval(), scheme(name, key=KEY), drawn((2, 9, 14, 3)))


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_scheme_is_refused_with_its_reason(name: str) -> None:
    s = scheme(name, key=KEY) if scheme(name).card.keyed else scheme(name)
    with pytest.raises(ConversionError, match="can't read frames under scheme") as caught:
        convert(Branches(), KEY, (9, 14), scheme=s)
    assert s.card.network in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(AFFINE), st.integers(3, 11), st.integers(3, 11), st.sampled_from([1, 3]), st.integers(0, 2**31),
    st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.sampled_from(["uint8", "uint16"]),
    st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)  # fmt: skip
def test_drawn_sizes_kernels_and_paddings(
    name: str, height: int, width: int, channels: int, seed: int, down: int, right: int, padding: int, stride: int,
    dtype: str, mode: Any,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    down, right = min(down, height), min(right, width)
    model = nn.Sequential(nn.Conv2d(channels, 3, (down, right), stride, padding, padding_mode=mode)).double()
    images = drawn((2, height, width, channels), np.dtype(dtype), seed)
    agree(model, scheme(name, key=KEY), images, codes=dtype)


@pytest.mark.parametrize("name", [n for n in AFFINE if "per_image" in scheme(n).card.parameters])
def test_data_set_schemes_are_read_with_a_nonce_per_image_too(name: str) -> None:
    agree(Branches().double().eval(), scheme(name, key=KEY, per_image=True), drawn((3, 8, 12, 3)))


@pytest.mark.parametrize(
    ("name", "parameters", "dtype"),
    [
        ("mat", {"normalise": "global", "max_add": 2048}, np.uint8),
        ("mmt", {"max_mul": 10_000}, np.uint16),
        ("rise-mmt", {"normalise": "global"}, np.uint16),
        ("shuffle+mask", {"unit": "plane", "period": (4, 4)}, np.uint16),
        ("pixel-shuffle", {"unit": "quad"}, np.uint16),
        ("etc", {"block": 5, "exactly_half": True}, np.uint8),
    ],
)
def test_parameters_of_schemes(name: str, parameters: dict[str, Any], dtype: Any) -> None:
    agree(Branches().double().eval(), scheme(name, key=KEY, **parameters), drawn((2, 9, 14, 3), dtype),
          codes=np.dtype(dtype).name)  # fmt: skip


def test_codes_of_twelve_bits_reach_white_at_their_own_top() -> None:
    s, images = scheme("negative-positive", key=KEY, bits=12), drawn((2, 8, 12, 3), np.uint16) >> 4
    model = Branches().double().eval()
    keyed = convert(model, KEY, (8, 12), scheme=s)
    with torch.no_grad():
        expected = model(tensor(images) * 65535 / 4095)
        torch.testing.assert_close(keyed.unshuffle(keyed.read(s.protect(images))), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("first", [None, "pixel-shuffle", "negative-positive", "etc"])
def test_gains_and_offsets_of_channels_fold_alone_and_after_a_scheme(first: str | None) -> None:
    gains = ChannelAffine(key=KEY, gain=(2.0, 0.5, -1.0), offset=(64.0, -3.0, 255.0), first=first)
    images = drawn((2, 9, 14, 3))
    np.testing.assert_array_equal(gains.reveal(gains.protect(images)), images)
    agree(Branches().double().eval(), gains, images)
    agree(Branches().double().eval(), ChannelAffine(key=KEY, first=first), images)


def test_gains_refuse_what_they_cannot_undo() -> None:
    with pytest.raises(SchemeError, match="gain must not be zero"):
        ChannelAffine(gain=(1.0, 0.0, 1.0))
    with pytest.raises(SchemeError, match="offset must be a tuple of finite numbers"):
        ChannelAffine(offset=(np.inf,))
    with pytest.raises(SchemeError, match="first must be a scheme that is affine"):
        ChannelAffine(first="svd")
    with pytest.raises(SchemeError, match="gain holds 2 numbers for 3 channels"):
        ChannelAffine(gain=(1.0, 2.0)).protect(drawn((4, 4, 3)))
    with pytest.raises(FrameError, match="no uint8 images under this gain"):
        ChannelAffine(gain=(2.0,), offset=(0.0,)).reveal(np.full((3, 4), 512.0))


def test_single_images_grey_ones_and_batches_are_read() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    s, images = scheme("mat", key=KEY), drawn((3, 8, 9))
    keyed = convert(model, KEY, (8, 9), channels=1, scheme=s)
    with torch.no_grad():
        expected = model(tensor(images[..., None]))
        torch.testing.assert_close(keyed.read(s.protect(images)), expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(keyed.read(s.protect(images[1])), expected[1:2], rtol=1e-12, atol=1e-12)
        assert keyed(torch.zeros(0, 1, 8, 9, dtype=torch.int32)).shape == (0, 2)


def test_training_through_the_fold_gives_the_plain_gradients() -> None:
    model, images = Branches().double(), drawn((2, 9, 14, 3))
    s = scheme("negative-positive+color", key=KEY)
    keyed = convert(model, KEY, (9, 14), scheme=s)
    model(tensor(images)).square().mean().backward()
    keyed.read(s.protect(images)).square().mean().backward()
    for (name, mine), (_, plain) in zip(keyed.named_parameters(), model.named_parameters(), strict=True):
        torch.testing.assert_close(mine.grad, plain.grad, rtol=1e-9, atol=1e-12, msg=name)


def test_a_schemes_name_is_enough() -> None:
    model, images = Branches().double().eval(), drawn((2, 9, 14, 3))
    protected = scheme("negative-positive+color", key=KEY).protect(images)
    keyed = convert(model, KEY, (9, 14), scheme="negative-positive+color", keys="stem")
    with torch.no_grad():
        torch.testing.assert_close(keyed.read(protected), model(tensor(images)), rtol=1e-12, atol=1e-12)


def test_keys_stem_leaves_the_rest_in_natural_order() -> None:
    s, images, model = scheme("mmt", key=KEY), drawn((2, 9, 14, 3)), Branches().double().eval()
    keyed = convert(model, KEY, (9, 14), scheme=s, keys="stem")
    with torch.no_grad():
        torch.testing.assert_close(keyed.read(s.protect(images)), model(tensor(images)), rtol=1e-12, atol=1e-12)


def test_the_fold_never_stores_the_frame_of_an_additive_scheme() -> None:
    s, image = scheme("mat", key=KEY), drawn((1, 9, 14, 3))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)).double()
    keyed = convert(model, KEY, (9, 14), scheme=s)
    stored: list[Tensor] = []

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and out.is_floating_point():
                stored.append(out)
            return out

    with torch.no_grad(), Recorder():  # type: ignore[no-untyped-call]  # likewise
        keyed.read(s.protect(image))
    plain = np.sort(image[0].reshape(-1, 3).T.astype(np.float64) / 255, axis=1)
    assert len(stored) > 3
    for one in stored:
        rows = np.sort(one.numpy().reshape(-1, 126), axis=1) if one.numel() % 126 == 0 else np.zeros((0, 126))
        assert not any(np.allclose(row, channel) for row in rows for channel in plain)


def test_errors_name_what_is_wrong() -> None:
    model, images = Branches(), drawn((2, 9, 14, 3))
    s = scheme("negative-positive", key=KEY)
    keyed, protected = convert(model, KEY, (9, 14), scheme=s), s.protect(images)
    frames = torch.from_numpy(np.moveaxis(np.asarray(protected), -1, 1).copy())
    with pytest.raises(WrongKeyError, match=KEY.id):
        convert(model, Key.generate(), (9, 14), scheme=s)
    with pytest.raises(WrongKeyError):
        keyed.read(scheme("negative-positive", key=Key.generate()).protect(images))
    with pytest.raises(FrameError, match="protected by 'mat'"):
        keyed.read(scheme("mat", key=KEY).protect(images))
    with pytest.raises(NonceError, match="nonce"):
        keyed(frames)
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        keyed(frames, nonce=bytes(16))
    with pytest.raises(FrameError, match=r"\(B, C, 9, 14\)"):
        keyed(frames[:, :, 1:], nonce=protected.nonces)
    mat = scheme("mat", key=KEY)
    reads_mat = convert(model, KEY, (9, 14), scheme=mat)
    with pytest.raises(FrameError, match="codes='uint16'"):
        reads_mat.read(mat.protect(images.astype(np.uint16)))
    with pytest.raises(FrameError, match="convert it with scheme="):
        convert(model, KEY, (9, 14)).read(protected)
    with pytest.raises(ConversionError, match="codes must be"):
        convert(model, KEY, (9, 14), scheme=s, codes="float32")
    with pytest.raises(ConversionError, match="scheme must be a scheme"):
        convert(model, KEY, (9, 14), scheme=object())  # type: ignore[arg-type]  # on purpose
    with pytest.raises(SchemeError, match="there is no scheme 'rot13'"):
        convert(model, KEY, (9, 14), scheme="rot13")
    with pytest.raises(ConversionError, match="leave mask, pattern and unit out"):
        convert(model, KEY, (9, 14), scheme=s, mask=True)
    with pytest.raises(ConversionError, match="normalise='per_image'"):
        convert(model, KEY, (9, 14), scheme=scheme("mat", key=KEY, normalise="per_image"))
    with pytest.raises(ConversionError, match="only convolutions"):
        convert(nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 1)), KEY, (8, 8), scheme=s)


@pytest.mark.parametrize("name", [None, "negative-positive", "chacha20"])
def test_a_network_counts_the_frames_of_fixed_nonce_mode_over_its_life(name: str | None) -> None:
    keyed = convert(Branches(), KEY, (9, 14), scheme=None if name is None else scheme(name, key=KEY))
    frames = torch.from_numpy(np.moveaxis(drawn((17, 9, 14, 3)), -1, 1).copy())
    frames = frames.float() if name is None else frames
    with pytest.warns(FixedNonceWarning, match="16 frames share one nonce"):
        keyed(frames[:16], nonce=bytes(16), fixed_nonce=True)
    keyed(frames[:16], nonce=bytes(16), fixed_nonce=True)  # the same ones again
    with pytest.raises(FixedNonceError, match=r"17 frames.*allow_many=True"):
        keyed(frames[16:], nonce=bytes(16), fixed_nonce=True)


def test_a_wrong_key_reads_something_else() -> None:
    model, images = Branches().double().eval(), drawn((1, 9, 14, 3))
    s = scheme("negative-positive", key=KEY)
    protected, other = s.protect(images), Key.generate()
    frames = torch.from_numpy(np.moveaxis(np.asarray(protected), -1, 1).copy())
    wrong = convert(model, other, (9, 14), scheme=scheme("negative-positive", key=other))
    with torch.no_grad():
        assert (wrong.unshuffle(wrong(frames, nonce=protected.nonces)) - model(tensor(images))).abs().max() > 1e-3


def test_locking_drops_the_scheme_key_and_copies_exports_and_pickles_are_refused(tmp_path: Any) -> None:
    model, images = Branches().eval(), drawn((1, 9, 14, 3))
    s = scheme("mat", key=KEY)
    keyed, protected = convert(model, KEY, (9, 14), scheme=s), s.protect(images)
    assert {n: t.shape for n, t in keyed.state_dict().items()} == {n: t.shape for n, t in model.state_dict().items()}
    before = keyed.read(protected)
    keyed.lock()
    with pytest.raises(LockedError):
        keyed.read(protected)
    keyed.unlock(KEY)
    assert torch.equal(keyed.read(protected), before)
    for attempt in (
        lambda: pickle.dumps(keyed), lambda: copy.deepcopy(keyed), lambda: torch.save(keyed, io.BytesIO()),
        lambda: export_onnx(keyed, tmp_path / "a.onnx"),
    ):  # fmt: skip
        with pytest.raises(ShuffleCamError):
            attempt()


@pytest.mark.parametrize("name", sorted(ASKED_FOR | {"etc"}))
def test_the_shipped_network_is_as_accurate_on_protected_images(name: str, cifar10_test: LabelledImages) -> None:
    model, images = load_pretrained("cifar10-airbench94").eval(), cifar10_test.images[:200]
    s = scheme(name, key=KEY)
    keyed = convert(model, KEY, (32, 32), scheme=s)
    with torch.inference_mode():
        logits, expected = keyed.read(s.protect(images)), model(image_tensor(images))
    assert torch.equal(logits.argmax(1), expected.argmax(1))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
