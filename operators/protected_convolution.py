"""What convolutions share that read frames whose values are protected too: the layer's weights and its window."""

from typing import cast

from torch import Tensor, nn

from operators.convolution_modules import window_of_conv
from operators.geometry import IntOrPair
from operators.modules import KeyedModule
from operators.tables import GatherTable, PixelOrder


class ProtectedConv2d(KeyedModule):
    """The first layer of a network, on frames that are never laid out in plain.

    Parameters
    ----------
    conv : nn.Conv2d
        Its ``weight`` and ``bias`` are shared, not copied, and keep their names in ``state_dict``.
    input_size : int or (int, int)
        Height and width of the plain frames, in pixels.
    permutation_out : permutation, optional
        Pixel order of the output; None for natural order.
    before : nn.Module, optional
        Layers between frame and convolution that are affine in each channel, such as the normalisation, without
        parameters of their own; they fold in.

    Raises
    ------
    OperatorError
        When the layer does not fit the frame, or the permutation has the wrong length.
    """

    weight: Tensor
    bias: Tensor | None
    places: Tensor

    def __init__(
        self,
        conv: nn.Conv2d,
        input_size: IntOrPair,
        permutation_out: PixelOrder | None = None,
        before: nn.Module | None = None,
    ) -> None:
        window = window_of_conv(conv, input_size)
        super().__init__(window.input_size, window.output_size)
        self.groups = conv.groups
        self.before = before
        self.register_parameter("weight", cast(nn.Parameter, conv.weight))
        self.register_parameter("bias", cast(nn.Parameter | None, conv.bias))
        self.register_table("places", GatherTable.keyed(window, None, permutation_out).places)
