"""EMVA 1288: statistics of frames, before any figure is made of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pair_statistics(first: NDArray[np.uint16], second: NDArray[np.uint16]) -> tuple[float, float]:
    r"""Return mean and temporal variance of two frames of the same light.

    .. math:: \sigma_y^2 = \tfrac12\,\overline{(y_1 - y_2)^2} - \tfrac12\,(\bar y_1 - \bar y_2)^2
    """
    difference = first.astype(np.float64) - second
    mean = (first.mean(dtype=np.float64) + second.mean(dtype=np.float64)) / 2
    return float(mean), float(difference.var() / 2)


@dataclass(frozen=True, kw_only=True)
class SpatialStatistics:
    """Spatial variance of a stack of frames of the same light, and where it comes from.

    Attributes
    ----------
    mean_dn : float
        Mean of the stack.
    variance_dn2 : float
        Spatial variance without what is left of the temporal noise.
    row_dn2, column_dn2, pixel_dn2 : float
        Its parts: between rows, between columns, and the rest. They may come out a little below 0 where there is
        nothing to find.
    row_spectrum_dn, column_spectrum_dn : ndarray of float64
        Root-mean-square amplitude against spatial frequency (0 to 1/2 a photosite) along rows and along columns; white
        noise of standard deviation s is s at all frequencies.
    """

    mean_dn: float
    variance_dn2: float
    row_dn2: float
    column_dn2: float
    pixel_dn2: float
    row_spectrum_dn: Floats
    column_spectrum_dn: Floats


def stack_statistics(frames: Iterable[NDArray[np.uint16]]) -> SpatialStatistics:
    r"""Return the statistics of at least two frames of the same light.

    .. math:: s_y^2 = s^2\big[\langle y \rangle_L\big] - \sigma_y^2 / L

    The mean frame is split like a two-way analysis of variance: with the residuals
    :math:`e_{yx} = m_{yx} - \bar m_{y\cdot} - \bar m_{\cdot x} + \bar m`, white variance
    :math:`w = \sum e^2 / ((H - 1)(W - 1))`, between rows :math:`s^2[\bar m_{y\cdot}] - w / W`, between columns
    :math:`s^2[\bar m_{\cdot x}] - w / H`, and :math:`w - \sigma_y^2 / L` for the photosites. Source: EMVA 1288 release
    4.0, section 8.2, which splits the same sums.
    """
    total: Floats | None = None
    squares: Floats | None = None
    count = 0
    for frame in frames:
        values = frame.astype(np.float64)
        total = values if total is None else total + values
        squares = values**2 if squares is None else squares + values**2
        count += 1
    assert total is not None
    assert squares is not None
    average = total / count
    # Codes are whole numbers, so these sums are exact up to 2**53.
    temporal = float(((squares - total * average) / (count - 1)).mean())
    height, width = average.shape
    mean = float(average.mean())
    rows, columns = average.mean(1), average.mean(0)
    residual = average - rows[:, None] - columns[None, :] + mean
    white = float((residual**2).sum() / ((height - 1) * (width - 1))) if min(height, width) > 1 else 0.0
    return SpatialStatistics(
        mean_dn=mean,
        variance_dn2=float(average.var(ddof=1) - temporal / count),
        row_dn2=float(rows.var(ddof=1) - white / width),
        column_dn2=float(columns.var(ddof=1) - white / height),
        pixel_dn2=white - temporal / count,
        row_spectrum_dn=_spectrum(average - mean, 1),
        column_spectrum_dn=_spectrum(average - mean, 0),
    )


def _spectrum(deviation: Floats, axis: int) -> Floats:
    power = np.abs(np.fft.rfft(deviation, axis=axis)) ** 2 / deviation.shape[axis]
    return np.asarray(np.sqrt(power.mean(1 - axis)), np.float64)


def spatial_statistics(frames: NDArray[np.uint16]) -> tuple[float, float]:
    """Return mean and spatial variance of a stack of frames, shape (L, H, W); see :func:`stack_statistics`."""
    found = stack_statistics(frames)
    return found.mean_dn, found.variance_dn2
