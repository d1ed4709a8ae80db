"""The bank of column converters, cycle by cycle, each with its own identity."""

import numpy as np
from numpy.typing import NDArray

from sensor.adc import ramp_error_dn
from sensor.params import SensorParams
from sensor.sar_converter import capacitor_weights


class ConverterBank:
    """One converter a column: a counter that a shared ramp stops, or successive approximation.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    columns : int
        Number of converters.
    seed : int
        Seed of the camera, which a SAR converter's capacitors follow.
    gain : float
        Amplifier gain, as a multiple of base gain.
    """

    def __init__(self, params: SensorParams, columns: int, seed: int, gain: float) -> None:
        self._params = params
        self._gain_dn_per_e = params.gain_dn_per_e * gain
        self._is_sar = params.converter == "sar"
        self._weights = capacitor_weights(columns, params.bit_depth, params.capacitor_mismatch_percent, seed)
        self.cycles_a_conversion = params.bit_depth + 1 if self._is_sar else 1 << params.bit_depth
        self.cycles = 0
        self.conversions = 0

    def convert(self, charge_e: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return the codes of one row, float32 of shape (W,) in electrons at the converters."""
        params = self._params
        # The comparators' inputs in codes. A rounding half is part of every ramp's and capacitor's zero.
        if not self._is_sar and params.ramp_curvature_dn != 0:
            exact = charge_e.astype(np.float64) * self._gain_dn_per_e + params.black_level_dn
            level = exact + ramp_error_dn(exact, params.ramp_curvature_dn, params.bit_depth) + 0.5
        elif self._is_sar and params.capacitor_mismatch_percent != 0:
            level = charge_e.astype(np.float64) * self._gain_dn_per_e + params.black_level_dn + 0.5
        else:
            level = charge_e.astype(np.float64) * self._gain_dn_per_e + (params.black_level_dn + 0.5)
        self.cycles += self.cycles_a_conversion * params.conversions_per_read
        self.conversions += len(charge_e) * params.conversions_per_read
        return self._approximate(level) if self._is_sar else self._count(level)

    def _count(self, level: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Count clocks while the ramp, one code a clock, has not passed a column's level; all counters at once."""
        ramp = np.arange(1, self.cycles_a_conversion)
        stopped_at = np.searchsorted(ramp, level, side="right")
        return stopped_at.astype(np.uint16)

    def _approximate(self, level: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Decide one bit a clock, the highest first; one more clock samples."""
        reached, code = np.zeros(len(level)), np.zeros(len(level), np.uint16)
        for bit in range(self._params.bit_depth - 1, -1, -1):
            tried = reached + self._weights[:, bit]
            keeps = level >= tried
            reached = np.where(keeps, tried, reached)
            code |= keeps.astype(np.uint16) << np.uint16(bit)
        return code
