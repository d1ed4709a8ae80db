"""What all keyed modules share: sizes, tables as buffers that are never saved, and a repr without secrets."""

import copy
from typing import NoReturn, Self

from torch import Tensor, nn

from operators.errors import OperatorError
from operators.rows import check_slot
from scrambler.errors import SecretPickleError


class KeyedModule(nn.Module):
    """Base of the modules that read and write frames in keyed pixel orders.

    Tables are buffers, so ``.to(device)`` moves them, but they are not persistent: ``state_dict`` holds what the
    plain module's would, under the same names. Tables determine the key, so pickling a module is refused.

    Attributes
    ----------
    input_size, output_size : (int, int)
        Height and width of the frames read and written, in pixels.
    """

    def __init__(self, input_size: tuple[int, int], output_size: tuple[int, int]) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size

    def register_table(self, name: str, table: Tensor | None) -> None:
        """Keep a table under ``name``: moved with the module, never saved with it."""
        self.register_buffer(name, table, persistent=False)

    def accept(self, frames: Tensor, slot: Tensor | None) -> Tensor | None:
        """Check frames and a caller's slot tables against this module; return the slots ready for indexing.

        Raises
        ------
        OperatorError
            When the frames are not (B, C, *input_size), or the slots do not fit them.
        """
        if frames.ndim != 4 or tuple(frames.shape[2:]) != self.input_size:
            raise OperatorError(
                f"{type(self).__name__} was made for frames (B, C, {self.input_size[0]}, {self.input_size[1]}) and "
                f"got {tuple(frames.shape)}; make it for the size you use"
            )
        return None if slot is None else check_slot(slot, frames)

    def extra_repr(self) -> str:
        """Return the sizes; never a table."""
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        return f"{H}x{W} -> {Ho}x{Wo}"

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # The default copies through pickle's protocol, which is refused below.
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def __getstate__(self) -> NoReturn:
        raise SecretPickleError(
            f"{type(self).__name__} holds tables that determine the key and is never pickled; "
            "save its state_dict() and rebuild it from the key"
        )
