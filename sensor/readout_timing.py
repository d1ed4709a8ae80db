r"""When things happen in a readout: row time, frame rate, and a table of every row.

.. math:: t_c = 2^N / f \text{ (single slope)}, \quad (N + 1) / f \text{ (SAR)}; \qquad
          T_\mathrm{row} = \max\Big(t_a,\; n\,t_c,\; \frac{W N}{\ell R}\Big) + t_o, \qquad
          \mathrm{FPS} = \frac{1}{(H + V)\,T_\mathrm{row}}

with t_a the analogue time of a row, n conversions a pixel, l lanes of R bits a second, t_o the link's pause between
rows and V blank rows. The three stages work on three successive rows at once, so the slowest sets the pace.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer, Permutation
from sensor.cfa import cfa_tile
from sensor.circuit_figures import SHUTTERS
from sensor.errors import CaptureError
from sensor.params import SensorParams
from sensor.switch_network import SwitchNetwork


def conversion_time_s(params: SensorParams) -> float:
    """Return the time of one conversion.

    Examples
    --------
    >>> from sensor import sensor_preset
    >>> round(1e6 * conversion_time_s(sensor_preset("imx477")), 3)  # 4096 steps
    8.192
    """
    steps = 1 << params.bit_depth if params.converter == "single-slope" else params.bit_depth + 1
    return steps / params.converter_clock_hz


def link_time_s(params: SensorParams, width_px: int) -> float:
    """Return the time that the link needs for the pixels of a row."""
    return width_px * params.bit_depth / (params.link_lanes * params.link_bits_per_s)


def row_time_s(params: SensorParams, width_px: int | None = None, network: SwitchNetwork | None = None) -> float:
    """Return the time from one row to the next.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    width_px : int, optional
        Photosites a row; the sensor's own by default.
    network : SwitchNetwork, optional
        An analogue multiplexer; its switches stay closed for a time of their own after the row has settled.
    """
    width = params.width_px if width_px is None else width_px
    analog = params.analog_row_s
    if network is not None:
        analog += network.closed_s(width, params.bit_depth)
    conversion = params.conversions_per_read * conversion_time_s(params)
    return max(analog, conversion, link_time_s(params, width)) + params.line_overhead_s


def frame_time_s(params: SensorParams, shape: tuple[int, int] | None = None) -> float:
    """Return the time from one frame to the next, blank rows included."""
    height, width = (params.height_px, params.width_px) if shape is None else shape
    return (height + params.blank_rows) * row_time_s(params, width)


def random_access_time_s(params: SensorParams, shape: tuple[int, int] | None = None) -> float:
    r"""Return the frame time when every photosite is addressed on its own, :math:`H W (t_a + n\,t_c)`.

    One row select then serves one photosite instead of W of them: the price of any order without a frame memory.
    """
    height, width = (params.height_px, params.width_px) if shape is None else shape
    return height * width * (params.analog_row_s + params.conversions_per_read * conversion_time_s(params))


@dataclass(frozen=True, kw_only=True)
class ReadoutTimeline:
    """What each row does when; one entry a row, in the order of the readout.

    Attributes
    ----------
    row : ndarray of int64, shape (H,)
        Row of the sensor.
    reset_s, exposure_end_s : ndarray of float64, shape (H,)
        Begin and end of the row's exposure, counted from the first row's read.
    settle_s, convert_s, shift_s, end_s : ndarray of float64, shape (H,)
        Begin of selecting and settling, of conversion, of shifting out, and the end of that.
    """

    row: NDArray[np.int64]
    reset_s: NDArray[Any]
    exposure_end_s: NDArray[Any]
    settle_s: NDArray[Any]
    convert_s: NDArray[Any]
    shift_s: NDArray[Any]
    end_s: NDArray[Any]

    COLUMNS = ("row", "reset_s", "exposure_end_s", "settle_s", "convert_s", "shift_s", "end_s")

    def to_csv(self) -> str:
        """Return the table as comma-separated text with one heading line."""
        columns = [getattr(self, name).tolist() for name in self.COLUMNS]
        lines = [",".join(format(value, ".9g") for value in line) for line in zip(*columns, strict=True)]
        return "\n".join([",".join(self.COLUMNS), *lines]) + "\n"

    def to_json(self) -> str:
        """Return the table as JSON, one list a column."""
        return json.dumps({name: getattr(self, name).tolist() for name in self.COLUMNS})


def readout_timeline(
    params: SensorParams,
    exposure_s: float,
    *,
    shape: tuple[int, int] | None = None,
    row_order: NDArray[np.integer] | None = None,
    network: SwitchNetwork | None = None,
    shutter: str | None = None,
) -> ReadoutTimeline:
    """Return the timeline of one frame.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    exposure_s : float
        Exposure time.
    shape : tuple of int, optional
        Frame size; the sensor's own by default.
    row_order : ndarray of int, shape (H,), optional
        Row of the sensor that is read at each place, see :func:`readout_row_order`; from the top by default. With a
        rolling shutter, the exposure of a row moves with its place.
    network : SwitchNetwork, optional
        An analogue multiplexer before the converters.
    shutter : str, optional
        ``"rolling"``: every row is exposed just before it is read. ``"global"``: all rows together, before the first
        is read; later rows wait in their storage nodes. The sensor's own by default.

    Raises
    ------
    CaptureError
        For a row order that is no permutation of the rows, a negative exposure, or an unknown shutter.

    Examples
    --------
    >>> from sensor import sensor_preset
    >>> timeline = readout_timeline(sensor_preset("imx477"), 0.01, shape=(4, 4056))
    >>> (1e6 * timeline.settle_s).round(2).tolist()
    [0.0, 28.57, 57.14, 85.71]
    """
    height, width = (params.height_px, params.width_px) if shape is None else shape
    order = np.arange(height) if row_order is None else np.asarray(row_order, np.int64)
    if order.shape != (height,) or not np.array_equal(np.sort(order), np.arange(height)):
        raise CaptureError(f"row_order must hold each of the {height} rows once")
    if not 0 <= exposure_s < np.inf:
        raise CaptureError(f"exposure_s must be a number, 0 or more, got {exposure_s!r}")
    shutter = params.shutter if shutter is None else shutter
    if shutter not in SHUTTERS:
        raise CaptureError(f"shutter must be one of {', '.join(SHUTTERS)}, got {shutter!r}")
    select = np.arange(height) * row_time_s(params, width, network)
    settle = params.analog_row_s + (0.0 if network is None else network.closed_s(width, params.bit_depth))
    convert = select + settle
    # The latches of a row are shifted out while the next one converts.
    shift = convert + params.conversions_per_read * conversion_time_s(params)
    exposure_end = select if shutter == "rolling" else np.zeros(height)
    return ReadoutTimeline(
        row=order.astype(np.int64),
        reset_s=exposure_end - exposure_s,
        exposure_end_s=exposure_end,
        settle_s=select,
        convert_s=convert,
        shift_s=shift,
        end_s=shift + link_time_s(params, width),
    )


def readout_row_order(
    multiplexer: Multiplexer, params: SensorParams, shape: tuple[int, int], nonce: bytes
) -> NDArray[np.int64]:
    """Return the order in which a keyed readout reads the sensor's rows.

    Patterns that keep rows together ("rows", "columns", "rows+columns") read them in their own order. All others
    collect rows in buffers or a memory behind the converters, and read the sensor from the top; before the converters
    they would need random access, where no row is read as a whole.
    """
    height, width = shape
    rows, columns = cfa_tile(params.cfa).shape
    unit = multiplexer.unit_for(rgb=False)
    source = multiplexer.permutation(shape, nonce, unit=unit, period=(rows, columns)).source.reshape(shape) // width
    return source[:, 0].astype(np.int64) if keeps_rows(source) else np.arange(height)


def storage_wait_s(
    params: SensorParams,
    shape: tuple[int, int],
    order: Permutation | None = None,
    network: SwitchNetwork | None = None,
) -> NDArray[np.float32]:
    r"""Return how long the charge of each photosite waits for its read after a global exposure.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    shape : tuple of int
        Frame size (H, W).
    order : Permutation, optional
        The order in which a multiplexer before the converters reads the photosites; by default rows from the top.
        Where it keeps rows together they wait for their turn, :math:`k\,T_\mathrm{row}`. Any other order needs random
        access, and slot j waits for :math:`j\,(t_a + n\,t_c)`.
    network : SwitchNetwork, optional
        The switches of that multiplexer.

    Returns
    -------
    ndarray of float32, shape (H, 1) or (H, W)

    Examples
    --------
    >>> from sensor import sensor_preset
    >>> (1e6 * storage_wait_s(sensor_preset("imx477"), (3, 4056))).astype(float).round(2).ravel().tolist()
    [0.0, 28.57, 57.14]
    """
    height, width = shape
    row_s = row_time_s(params, width, network)
    if order is None:
        return (row_s * np.arange(height)[:, None]).astype(np.float32)
    source = order.source.reshape(shape) // width
    if keeps_rows(source):
        place = np.argsort(source[:, 0])
        return (row_s * place[:, None]).astype(np.float32)
    pixel_s = random_access_time_s(params, (1, 1))
    return np.asarray(pixel_s * order.slot.reshape(shape), np.float32)


def keeps_rows(source_row: NDArray[np.integer]) -> bool:
    """Tell whether each row of the readout comes from one row of the sensor."""
    return bool((source_row == source_row[:, :1]).all())
