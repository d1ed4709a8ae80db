"""EMVA 1288: from the statistics of frames to the figures of a camera.

Source: European Machine Vision Association, "EMVA Standard 1288, Standard for Characterization of Image Sensors and
Cameras", release 3.1 (2016), sections 6 to 8. Linear model; all numbers are of frames without spatial filtering.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.emva_statistics import Floats, SpatialStatistics

LEAST_DARK_VARIANCE_DN2 = 0.24
"""Below this the converter's steps hide the dark noise, and the standard puts this value in its place."""


@dataclass(frozen=True, kw_only=True)
class EmvaFigures:
    """What EMVA 1288 says of a camera.

    Attributes
    ----------
    gain_dn_per_e : float
        System gain K.
    quantum_efficiency : float
        Electrons a photon.
    dark_noise_e : float
        Temporal noise in the dark.
    dsnu_e, prnu_percent : float
        Spread between photosites of the dark value, and of the sensitivity at half saturation.
    saturation_capacity_e : float
        Electrons at the largest temporal variance.
    linearity_error_percent : float
        Half the span of the relative deviations from the best line, 5 % to 95 % of saturation.
    dark_current_e_per_s : float
        From the mean dark value against exposure time; NaN when there is one exposure time only.
    dsnu_row_e, dsnu_column_e, dsnu_pixel_e, prnu_row_percent, prnu_column_percent, prnu_pixel_percent : float
        The parts of DSNU and PRNU between rows, between columns, and of single photosites.
    """

    gain_dn_per_e: float
    quantum_efficiency: float
    dark_noise_e: float
    dsnu_e: float
    prnu_percent: float
    saturation_capacity_e: float
    linearity_error_percent: float
    dark_current_e_per_s: float
    dsnu_row_e: float
    dsnu_column_e: float
    dsnu_pixel_e: float
    prnu_row_percent: float
    prnu_column_percent: float
    prnu_pixel_percent: float

    @property
    def snr_max(self) -> float:
        r"""Largest signal-to-noise ratio of a photosite, :math:`\sqrt{\mu_{e.sat}}`."""
        return float(np.sqrt(self.saturation_capacity_e))

    @property
    def sensitivity_threshold_p(self) -> float:
        r"""Photons at which signal equals noise, :math:`(\sqrt{\sigma_d^2 + 1/(12 K^2)} + 1/2) / \eta`."""
        noise_e = np.sqrt(self.dark_noise_e**2 + 1 / (12 * self.gain_dn_per_e**2))
        return float((noise_e + 0.5) / self.quantum_efficiency)

    @property
    def dynamic_range(self) -> float:
        """Saturation over sensitivity threshold, as a ratio of photons."""
        return self.saturation_capacity_e / self.quantum_efficiency / self.sensitivity_threshold_p


@dataclass(frozen=True, kw_only=True)
class PhotonTransfer:
    """Mean and temporal variance against light.

    Attributes
    ----------
    photons : ndarray of float64, shape (n,)
        Mean photons a photosite, rising, from 0 to beyond saturation.
    mean_dn, variance_dn2 : ndarray of float64, shape (n,)
        Of a pair of frames at each step, see :func:`sensor.emva_statistics.pair_statistics`.
    dark_mean_dn, dark_variance_dn2 : ndarray of float64, shape (n,), optional
        Of dark pairs of the same exposure times; without them, the first step is the dark of all.
    """

    photons: Floats
    mean_dn: Floats
    variance_dn2: Floats
    dark_mean_dn: Floats | None = None
    dark_variance_dn2: Floats | None = None

    @property
    def saturation(self) -> int:
        """Step of the largest temporal variance."""
        return int(np.argmax(self.variance_dn2))

    @property
    def signal_dn(self) -> Floats:
        """Mean above the dark value."""
        return np.asarray(self.mean_dn - (self.mean_dn[0] if self.dark_mean_dn is None else self.dark_mean_dn))

    @property
    def shot_variance_dn2(self) -> Floats:
        """Variance above the dark value."""
        dark = self.variance_dn2[0] if self.dark_variance_dn2 is None else self.dark_variance_dn2
        return np.asarray(self.variance_dn2 - dark)


def system_gain(transfer: PhotonTransfer) -> float:
    """Return K, the slope of variance against mean up to 70 % of saturation, both above dark, through the origin."""
    signal, used = transfer.signal_dn, _up_to(transfer, 0.7)
    return _slope(signal[used], transfer.shot_variance_dn2[used])


def responsivity(transfer: PhotonTransfer) -> float:
    """Return R in codes a photon, the slope of mean against photons up to 70 % of saturation, through the origin."""
    used = _up_to(transfer, 0.7)
    return _slope(transfer.photons[used], transfer.signal_dn[used])


def linearity_error_percent(transfer: PhotonTransfer) -> float:
    """Return half the span of relative deviations from the line that keeps their squares least, 5 % to 95 %."""
    signal = transfer.signal_dn
    top = signal[transfer.saturation]
    used = (signal >= 0.05 * top) & (signal <= 0.95 * top)
    photons, values = transfer.photons[used], signal[used]
    # Relative deviations: each row of the straight-line fit is divided by its value.
    design = np.column_stack([np.ones_like(photons), photons]) / values[:, None]
    offset, slope = np.linalg.lstsq(design, np.ones_like(values), rcond=None)[0]
    deviation = 100 * (values - (offset + slope * photons)) / (offset + slope * photons)
    return float((deviation.max() - deviation.min()) / 2)


def dark_noise_e(dark_variance_dn2: float, gain_dn_per_e: float) -> float:
    """Return the temporal dark noise, without the converter's own 1/12 DN^2."""
    variance = max(dark_variance_dn2, LEAST_DARK_VARIANCE_DN2)
    return float(np.sqrt(variance - 1 / 12) / gain_dn_per_e)


def dark_current_e_per_s(exposures_s: Floats, dark_means_dn: Floats, gain_dn_per_e: float) -> float:
    """Return the slope of the mean dark value against exposure time; NaN for a single exposure time."""
    if np.ptp(exposures_s) == 0:
        return float("nan")
    return float(np.polyfit(exposures_s, dark_means_dn, 1)[0] / gain_dn_per_e)


def figures(
    transfer: PhotonTransfer,
    dark: SpatialStatistics,
    half: SpatialStatistics,
    exposures_s: Floats,
    dark_means_dn: Floats,
) -> EmvaFigures:
    """Return all figures of a camera.

    Parameters
    ----------
    transfer : PhotonTransfer
        Of pairs of frames, from dark to beyond saturation.
    dark, half : SpatialStatistics
        Of stacks in the dark and near half saturation, at the same exposure time.
    exposures_s, dark_means_dn : ndarray of float64, shape (m,)
        Exposure times and mean dark values.
    """
    gain = system_gain(transfer)
    efficiency = responsivity(transfer) / gain
    dark_variance = transfer.variance_dn2 if transfer.dark_variance_dn2 is None else transfer.dark_variance_dn2

    def dsnu_e(variance: float) -> float:
        return float(np.sqrt(max(0.0, variance)) / gain)

    def prnu_percent(part: str) -> float:
        difference = max(0.0, getattr(half, part) - getattr(dark, part))
        return float(100 * np.sqrt(difference) / (half.mean_dn - dark.mean_dn))

    return EmvaFigures(
        gain_dn_per_e=gain,
        quantum_efficiency=efficiency,
        dark_noise_e=dark_noise_e(float(dark_variance[0]), gain),
        dsnu_e=dsnu_e(dark.variance_dn2),
        prnu_percent=prnu_percent("variance_dn2"),
        saturation_capacity_e=float(efficiency * transfer.photons[transfer.saturation]),
        linearity_error_percent=linearity_error_percent(transfer),
        dark_current_e_per_s=dark_current_e_per_s(exposures_s, dark_means_dn, gain),
        dsnu_row_e=dsnu_e(dark.row_dn2),
        dsnu_column_e=dsnu_e(dark.column_dn2),
        dsnu_pixel_e=dsnu_e(dark.pixel_dn2),
        prnu_row_percent=prnu_percent("row_dn2"),
        prnu_column_percent=prnu_percent("column_dn2"),
        prnu_pixel_percent=prnu_percent("pixel_dn2"),
    )


def _up_to(transfer: PhotonTransfer, share: float) -> NDArray[np.bool_]:
    return np.asarray(transfer.signal_dn <= share * transfer.signal_dn[transfer.saturation], np.bool_)


def _slope(x: Floats, y: Floats) -> float:
    """Return the least-squares slope of a line through the origin."""
    return float((x @ y) / (x @ x))
