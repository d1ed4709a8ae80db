"""The serialiser: rows of codes as octets, dealt to the lanes in turn, and put together again behind them."""

import numpy as np
from numpy.typing import NDArray

from sensor.mipi_packing import pack, unpack


class Link:
    """A link of several lanes.

    Parameters
    ----------
    lanes : int
        Data lanes; octet i of a row goes over lane i mod lanes, as in MIPI CSI-2.
    bits : int
        Bits a code: MIPI's bit order where it has one for so many, else without gaps.
    """

    def __init__(self, lanes: int, bits: int) -> None:
        self.lanes = lanes
        self._bits = bits
        self.packing = "mipi" if bits in (8, 10, 12, 14) else "dense"
        self.sent_bits = 0

    def send(self, codes: NDArray[np.uint16]) -> list[NDArray[np.uint8]]:
        """Return what each lane carries for one row."""
        octets = pack(codes[None], self._bits, self.packing)[0]
        self.sent_bits += self._bits * len(codes)
        return [octets[lane :: self.lanes] for lane in range(self.lanes)]

    def receive(self, lanes: list[NDArray[np.uint8]], width: int) -> NDArray[np.uint16]:
        """Return the codes of one row; inverse of :meth:`send`."""
        octets = np.empty(sum(len(lane) for lane in lanes), np.uint8)
        for number, lane in enumerate(lanes):
            octets[number :: self.lanes] = lane
        codes: NDArray[np.uint16] = unpack(octets[None], width, self._bits, self.packing)[0]
        return codes
