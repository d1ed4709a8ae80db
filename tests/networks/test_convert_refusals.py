"""What cannot be exact is refused in one sentence that names the layer and the reason."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks import ConversionError, convert
from scrambler import Key, keyed_permutation

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(32)))
SIZE = (6, 9)


class Calls(nn.Module):
    """A convolution and then one function of its maps (B, 4, 4, 7), in a layer of its own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.tail = Tail(function)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.conv(x))


class Tail(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def branching(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def windows(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c, 2, h // 2, w).transpose(2, 3)


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.attention = nn.MultiheadAttention(4, 1, add_bias_kv=True, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2).transpose(1, 2)
        return self.attention(x, x, x)[0]


REFUSED = [
    (branching, r"layer 'tail' \(Tail\).*depends on the data"),
    (lambda x: torch.stack(list(x)), r"layer 'tail'.*can't be traced"),
    (lambda x: x.sort(dim=3)[0], r"'sort'.*layer 'tail'.*rows or columns"),
    (lambda x: x.flatten(2).sort(-1)[0], r"'sort'.*rows or columns"),
    (lambda x: torch.topk(x, 2)[0], r"'topk'"),
    (lambda x: x.flatten(2).argmax(-1), r"'argmax'"),
    (lambda x: torch.fft.fft2(x).real, "Fourier transform"),
    (lambda x: F.grid_sample(x, torch.zeros(2, 3, 3, 2), align_corners=False), "places that depend on the data"),
    (lambda x: torch.nonzero(x), "depends on the data"),
    (lambda x: F.unfold(x, 3), "write it as a convolution"),
    (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", antialias=True), "antialias"),
    (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], "max_pool2d_with_indices.*not known"),
    (lambda x: x.mean(3), "both height and width"),
    (lambda x: F.softmax(x, dim=2), "rows or columns"),
    (lambda x: x @ torch.ones(7, 2), "rows or columns"),
    (lambda x: torch.einsum("bchw,wk->bchk", x, torch.ones(7, 2)), "rows or columns"),
    (lambda x: x.transpose(2, 3)[:, :, :4, :4] + x[:, :, :, :4], "no map"),
    (lambda x: x[..., :4] + x[..., :4].transpose(2, 3), "different dimensions"),
    (lambda x: x[:, :, 0], "one row or column"),
    (lambda x: x[:, :, :, [0, 2]], "not known"),
    (lambda x: x.flatten(2)[:, :, 3], "one pixel"),
    (lambda x: x.flatten(2)[:, :, 3:], "some pixels"),
    (lambda x: x.flatten(2).chunk(2, dim=2)[0], "splits the pixels"),
    (windows, "windows"),
    (lambda x: x.permute(0, 2, 3, 1).reshape(2, 4, 28), "windows"),
    (lambda x: torch.cat([x, x], dim=2), "behind or between"),
    (lambda x: torch.cat([x.flatten(2), torch.ones(2, 4, 1)], dim=2), "behind or between"),
    (lambda x: x.repeat(1, 1, 2, 1), "repeats pixels"),
    (lambda x: x.cumsum(2), "rows or columns"),
    (lambda x: F.conv1d(x.flatten(2), torch.ones(4, 4, 3)), "'conv1d'.*not known"),
    (lambda x: F.scaled_dot_product_attention(x, x, x), "rows or columns"),
    (lambda x: F.scaled_dot_product_attention(*(x.flatten(2).transpose(1, 2),) * 3, is_causal=True), "causal"),
    (lambda x: F.batch_norm(x.permute(0, 2, 3, 1), None, None, training=True), "expects channels"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_a_function_is_refused_by_name(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        convert(Calls(function), KEY, SIZE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(dim=3)), r"layer '1' \(Softmax\)"),
        (nn.Sequential(nn.Linear(9, 4)), r"layer '0' \(Linear\)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.LSTM(7, 4)), "does not run on 3x6x9"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.LSTM(28, 4)), r"layer '2' \(LSTM\).*not known"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(7)), r"layer '1' \(LayerNorm\)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.LayerNorm((4, 28))), r"layer '2' \(LayerNorm\).*pixel"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.LPPool2d(2, 2)), r"layer '1' \(LPPool2d\).*not known"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Unfold(2)), "write it as a convolution"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, return_indices=True)), r"layer '1' \(MaxPool2d\)"),
        (Attends(), r"layer 'attention' \(MultiheadAttention\).*need_weights"),
        (nn.Conv2d(3, 4, 3), "wrap it in nn.Sequential"),
        (nn.Sequential(nn.Conv2d(3, 4, 10)), "does not run on 3x6x9"),
        (nn.Sequential(nn.Conv2d(1, 4, 3)), "does not run on 3x6x9"),
        (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), "single layer"),
    ],
)
def test_a_layer_is_refused_by_name(model: nn.Module, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(model, KEY, SIZE)


def test_another_choice_of_keys_is_refused() -> None:
    with pytest.raises(ConversionError, match="layer, stem"):
        convert(nn.Sequential(nn.Conv2d(3, 4, 3)), KEY, SIZE, keys="all")


class ChecksShapes(nn.Module):
    """Branches and assertions over shapes, as libraries write them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise ValueError("three channels, please")
        assert x.ndim == 4
        x = self.norm(self.conv(x))
        torch._assert(x.shape[2] == 4, "wrong height")
        if x.size(3) % 2 == 1 and x.dtype.is_floating_point:
            x = F.pad(x, (0, 1))
        return F.avg_pool2d(x, 2)


def test_branches_over_shapes_are_followed() -> None:
    model = ChecksShapes().double()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    keyed = convert(model, KEY, SIZE)
    for name, tensor in keyed.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)
    frames, nonces = torch.rand(2, 3, *SIZE, dtype=torch.float64), [bytes(16), bytes([1] * 16)]
    orders = [keyed_permutation(KEY, SIZE, nonce=nonce) for nonce in nonces]
    seen = torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames, strict=True)])
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(keyed.unshuffle(keyed.eval()(seen, nonce=nonces)), model(frames))


def test_a_branch_over_the_batch_is_refused() -> None:
    model = Calls(lambda x: x if x.shape[0] > 1 else -x)
    with pytest.raises(ConversionError, match="batch size"):
        convert(model, KEY, SIZE)


def test_every_module_keeps_its_own_mode() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    model[1].eval()
    keyed = convert(model, KEY, SIZE)
    assert [module.training for module in keyed.children()] == [True, False, True]


@pytest.mark.parametrize("kind", ["layer", "parameter"])
def test_names_of_the_converted_network_are_taken(kind: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.channels, self.engine = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)  # Free to use.
            self.plan = nn.Linear(1, 1) if kind == "layer" else nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.engine(self.channels(x))
            return y

    with pytest.raises(ConversionError, match="'plan' is a name that converted networks use themselves"):
        convert(Named(), KEY, SIZE)
