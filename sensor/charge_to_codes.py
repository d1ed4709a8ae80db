"""The rear half of the camera: from the charge at the columns to codes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.adc import convert
from sensor.banding_noise import banding_noise
from sensor.column_pattern import column_pattern
from sensor.counter_rng import NoiseSource
from sensor.fast_draws import LinearConverter
from sensor.params import SensorParams
from sensor.readout_timing import row_time_s
from sensor.row_noise import row_noise
from sensor.sar_converter import capacitor_weights, convert_sar


@dataclass(frozen=True, kw_only=True)
class ChargeToCodes:
    """Everything that belongs to a column of converters or to the moment of reading.

    Attributes
    ----------
    params : SensorParams
        The sensor.
    seed, frame : int
        Camera seed and frame number.
    gain : float
        Amplifier gain, as a multiple of base gain.
    """

    params: SensorParams
    seed: int
    frame: int
    gain: float

    def rows(self, charge_e: NDArray[np.float32], first: int, out: NDArray[np.uint16]) -> None:
        """Convert whole rows of the readout.

        Parameters
        ----------
        charge_e : ndarray of float32, shape (rows, W)
            Signal at the converters, in electrons.
        first : int
            Place of the first of these rows in the readout.
        out : ndarray of uint16, shape (rows, W)
            Filled with the codes.
        """
        params = self.params
        charge_e = self.at_converters(charge_e, first)
        if params.converter == "sar" and params.capacitor_mismatch_percent != 0:
            weights = capacitor_weights(
                charge_e.shape[1], params.bit_depth, params.capacitor_mismatch_percent, self.seed
            )
            out[...] = convert_sar(
                charge_e, weights, gain_dn_per_e=self._gain_dn_per_e, black_level_dn=params.black_level_dn
            )
            return
        convert(
            charge_e,
            gain_dn_per_e=self._gain_dn_per_e,
            black_level_dn=params.black_level_dn,
            bit_depth=params.bit_depth,
            ramp_curvature_dn=self._ramp_curvature_dn,
            out=out,
        )

    def at_converters(self, charge_e: NDArray[np.float32], first: int) -> NDArray[np.float32]:
        """Return what rows of the readout bring to the converters: with column pattern, row and banding noise."""
        params = self.params
        noise = NoiseSource(seed=self.seed, frame=self.frame, origin=(first, 0))
        charge_e = column_pattern(charge_e, params.column_offset_e, params.column_gain_percent, noise)
        charge_e = row_noise(charge_e, params.row_spread_e(self.gain), noise)
        if params.banding_noise_e != 0:
            row_s = row_time_s(params, width_px=charge_e.shape[1])
            charge_e = banding_noise(charge_e, params.banding_noise_e, params.banding_hz, row_s, noise)
        return charge_e

    @property
    def linear(self) -> LinearConverter | None:
        """The converter, if rows, columns and converters have no noise and no faults; else None."""
        params = self.params
        faults = (
            params.column_offset_e,
            params.column_gain_percent,
            params.row_spread_e(self.gain),
            params.banding_noise_e,
            params.capacitor_mismatch_percent if params.converter == "sar" else 0.0,
            self._ramp_curvature_dn,
        )
        if any(fault != 0 for fault in faults):
            return None
        return LinearConverter(self._gain_dn_per_e, params.black_level_dn, params.bit_depth)

    @property
    def _gain_dn_per_e(self) -> float:
        return self.params.gain_dn_per_e * self.gain

    @property
    def _ramp_curvature_dn(self) -> float:
        return self.params.ramp_curvature_dn if self.params.converter == "single-slope" else 0.0
