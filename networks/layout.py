"""What the converter knows about a tensor on its way through a network: whose pixel order it is in."""

from dataclasses import dataclass

from scrambler import Permutation


@dataclass(frozen=True)
class Spatial:
    """A map (B, C, H, W) in some shuffled order.

    Attributes
    ----------
    size : tuple of int
        Height and width.
    permutation : Permutation or None
        The order; None is the order of the input frame, known only when its nonce is.
    """

    size: tuple[int, int]
    permutation: Permutation | None

    @property
    def follows_input(self) -> bool:
        """Whether the order is that of the input frame."""
        return self.permutation is None

    def same_order(self, other: "Spatial") -> bool:
        """Whether two maps can be added pixel by pixel."""
        return self.size == other.size and (
            self.permutation is other.permutation or self.size == (1, 1)  # a single pixel has one order
        )


@dataclass(frozen=True)
class Plain:
    """Anything without a pixel order: pooled features, logits, numbers."""


Layout = Spatial | Plain
