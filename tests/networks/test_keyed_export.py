"""A keyed network is not exported by accident: the program would hold its tables."""

import pytest
import torch
from torch import Tensor, nn

from networks import ConversionError, convert
from scrambler import Key
from scrambler.errors import SecretPickleError

NONCE = bytes(16)


class Wrapped(nn.Module):
    """A keyed network with its nonce, as an exporter wants it: one tensor in, one out."""

    def __init__(self) -> None:
        super().__init__()
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
        self.keyed = convert(plain, Key.from_bytes(bytes(32)), (8, 9))

    def forward(self, frames: Tensor) -> Tensor:
        return self.keyed(frames, nonce=[NONCE])


def test_exporting_is_refused() -> None:
    with pytest.raises(SecretPickleError, match="export_onnx"):
        torch.export.export(Wrapped().eval(), (torch.rand(1, 3, 8, 9),))


def test_the_size_may_be_a_list_but_must_be_two_numbers() -> None:
    model, key = nn.Sequential(nn.Conv2d(3, 4, 3)), Key.from_bytes(bytes(32))
    assert convert(model, key, [8, 9])(torch.rand(1, 3, 8, 9), nonce=[NONCE]).shape == (1, 4, 6, 7)
    for wrong in (8, (8,), (8.0, 9), "89"):
        with pytest.raises(ConversionError, match="input_size"):
            convert(model, key, wrong)
