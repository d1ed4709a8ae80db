"""No feature map in natural order: every tensor that inference makes is looked at."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from networks import build, convert
from operators import KeyedConv2d, KeyedMaxPool2d, shuffle_pixels
from operators.engine_steps import fuse_epilogue
from scrambler import Key, keyed_permutation, new_nonces

SIZE = (8, 12)
SMALLEST = 16  # pixels of a map that shows something


class Witness(TorchDispatchMode):
    """Keep every tensor that an operation makes."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.seen += [result] if torch.is_tensor(result) else []
        return result


class Network:
    """Stem, residual pair, pooling and a strided layer, plain and keyed; all maps keyed differently."""

    def __init__(self, draw, engine):
        torch.manual_seed(3)
        convolution = lambda i, o, s=1: nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)  # noqa: E731 - four of them
        self.plain = [convolution(3, 16), convolution(16, 16), nn.MaxPool2d(2), convolution(16, 32)]
        self.norms = [nn.BatchNorm2d(16).eval(), nn.BatchNorm2d(16).eval(), None, nn.BatchNorm2d(32).eval()]
        half = (SIZE[0] // 2, SIZE[1] // 2)
        orders = [draw.order(SIZE), draw.order(SIZE), draw.order(SIZE), draw.order(half), draw.order(half)]
        self.first, self.orders = orders[0], orders
        self.keyed = []
        for place, (layer, norm) in enumerate(zip(self.plain, self.norms, strict=True)):
            size = half if place == 3 else SIZE
            kind = KeyedMaxPool2d if isinstance(layer, nn.MaxPool2d) else KeyedConv2d
            options = {} if kind is KeyedMaxPool2d else {"engine": engine}
            keyed = kind(layer, size, orders[place], orders[place + 1], **options)
            self.keyed.append(keyed if norm is None else fuse_epilogue(keyed, norm, nn.ReLU()))

    def natural_maps(self, x):
        """Return every map of the plain network, before and after batch norm and activation."""
        maps = [x]
        for layer, norm in zip(self.plain, self.norms, strict=True):
            maps.append(layer(maps[-1]))
            if norm is not None:
                maps.append(norm(maps[-1]))
                maps.append(maps[-1].relu())
        return maps


def shows(tensor, natural):
    """Whether a tensor holds a natural-order map in either memory order, within rounding."""
    if tensor.numel() != natural.numel() or not tensor.is_floating_point():
        return False
    flat = tensor.detach().float().contiguous().flatten()
    return any(
        torch.allclose(flat, natural.permute(order).flatten(), rtol=1e-3, atol=1e-4)
        for order in ((0, 1, 2, 3), (0, 2, 3, 1))
    )


@torch.no_grad()
@pytest.mark.parametrize(("engine", "hidden"), [("indirect", True), ("gather", False)])
def test_the_indirect_engine_never_stores_a_map_in_natural_order(draw, engine, hidden):
    network, x = Network(draw, engine), torch.randn(2, 3, *SIZE)
    natural = [m for m in network.natural_maps(x) if m.shape[2] * m.shape[3] >= SMALLEST]
    y = shuffle_pixels(x, network.first)
    with Witness() as witness:
        for keyed in network.keyed:
            y = keyed(y)
            witness.seen.append(y)
    torch.testing.assert_close(y, shuffle_pixels(natural[-1], network.orders[-1]), rtol=1e-4, atol=1e-4)
    exposed = [m for m in natural if any(shows(tensor, m) for tensor in witness.seen)]
    assert (not exposed) == hidden


@torch.inference_mode()
def test_a_converted_network_never_stores_a_map_in_natural_order():
    plain, key, maps = build("airbench94", seed=1).eval(), Key.generate(), []
    for module in plain.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _inputs, output: maps.append(output.clone()))
    keyed = convert(build("airbench94", seed=1).eval(), key, (32, 32))
    x, nonces = torch.rand(2, 3, 32, 32), new_nonces(2)
    logits = plain(x)
    orders = [keyed_permutation(key, (32, 32), nonce=nonce) for nonce in nonces]
    shuffled = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, orders, strict=True)])
    with Witness() as witness:
        # The second time, what can be is done in one call, in memory that the witness has seen being made.
        for _ in range(2):
            found = keyed(shuffled, nonce=nonces)
            torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-5)
    natural = [m for m in [x, *maps] if m.ndim == 4 and m.shape[2] * m.shape[3] >= SMALLEST]
    assert len(natural) > 15
    assert not any(shows(tensor, m) for tensor in witness.seen for m in natural)
