"""Reading a frame out through a multiplexer that sits before the converters and moves voltages."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.bands import for_each_band, row_bands
from sensor.charge_to_codes import ChargeToCodes
from sensor.counter_rng import NoiseSource
from sensor.light_to_charge import LightToCharge
from sensor.scene import Scene
from sensor.switch_network import SwitchNetwork

READ_PX = 1 << 18
"""Photosites that the multiplexer hands over at a time."""


def switched_codes(
    light: Scene, front: LightToCharge, rear: ChargeToCodes, source: NDArray[Any], network: SwitchNetwork | None
) -> NDArray[np.uint16]:
    """Return the codes of a frame in the order of its slots.

    Parameters
    ----------
    light : Scene
        Light on the sensor, of the frame's size.
    front : LightToCharge
        What belongs to a photosite and moves with it.
    rear : ChargeToCodes
        What belongs to a converter's column and to the moment of reading, and so stays with the slot.
    source : ndarray of integers, shape (H * W,)
        The photosite that each slot reads.
    network : SwitchNetwork or None
        The switches on the way; None for row order alone, which has none.

    Returns
    -------
    ndarray of uint16, shape (H, W)
    """
    height, width = light.shape
    charge_e = front.frame_rows(light).reshape(-1)
    codes = np.empty((height, width), np.uint16)
    held = np.zeros((1, width), np.float32)
    # Some rows at a time: what the whole frame looks like in slot order is never needed.
    for top, bottom in row_bands(height, width, READ_PX):
        at_columns = np.empty((bottom - top, width), np.float32)

        def move(first: int, end: int, to: NDArray[np.float32] = at_columns, top: int = top) -> None:
            slots = source[(top + first) * width : (top + end) * width]
            np.take(charge_e, slots, out=to[first:end].reshape(-1), mode="clip")

        for_each_band(bottom - top, width, 1, move)
        if network is not None:
            held = at_columns = network.settled(at_columns, held[-1])

        def read(first: int, end: int, volts: NDArray[np.float32] = at_columns, top: int = top) -> None:
            volts = volts[first:end]
            if network is not None:
                volts = network.sampled(
                    volts,
                    NoiseSource(seed=front.seed, frame=front.frame, origin=(top + first, 0)),
                    temperature_k=front.temperature_k,
                    conversion_gain_v_per_e=front.params.conversion_gain_v_per_e,
                )
            rear.rows(volts, top + first, codes[top + first : top + end])

        for_each_band(bottom - top, width, 1, read)
    return codes
