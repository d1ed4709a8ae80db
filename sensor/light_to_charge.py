"""The front half of the camera: from light to the charge that each photosite hands to the readout."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.bands import for_each_band
from sensor.blooming import blooming
from sensor.cfa import cfa_tile, sample_mosaic
from sensor.colour import camera_response
from sensor.common_chain import charge_with_noise, expected_electrons
from sensor.counter_rng import NoiseSource, Stream
from sensor.dark_current import dark_current
from sensor.defects import defects
from sensor.dsnu import dsnu
from sensor.fast_draws import LinearConverter, expose, fast_shot_and_read
from sensor.fixed_maps import FixedMaps
from sensor.full_well import full_well
from sensor.hot_pixels import hot_pixels
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.reset_noise import reset_noise
from sensor.scene import Scene
from sensor.shot_noise import shot_noise
from sensor.storage_leakage import storage_leakage
from sensor.telegraph_noise import telegraph_noise
from sensor.tukey_noise import tukey_noise


@dataclass(frozen=True, kw_only=True)
class LightToCharge:
    """Everything that belongs to a photosite and stays with it wherever it is read.

    Attributes
    ----------
    params : SensorParams
        The sensor.
    seed, frame : int
        Camera seed and frame number.
    temperature_k, gain, exposure_s : float
        Sensor temperature, amplifier gain as a multiple of base gain, exposure time.
    sampler : str
        ``"exact"`` or ``"fast"``, see :class:`sensor.Camera`.
    maps : FixedMaps, optional
        Where PRNU and DSNU are kept from frame to frame.
    wait_s : ndarray of float32, shape (H, 1) or (H, W), optional
        How long the charge of each photosite of the frame waits in its storage node; without it nothing leaks.
    """

    params: SensorParams
    seed: int
    frame: int
    temperature_k: float
    gain: float
    exposure_s: float
    sampler: str = "exact"
    maps: FixedMaps | None = None
    wait_s: NDArray[np.float32] | None = None

    def rows(self, light: Scene, first: int, end: int) -> NDArray[np.float32]:
        """Return what rows ``first`` to ``end`` hand over, in electrons, float32, shape (rows, W)."""
        noise = self._noise(first)
        if self.is_usual:
            charge_e = np.empty((end - first, light.shape[1]), np.float32)
            self.expose(light, first, charge_e)
            return charge_e
        collected, normals = self._collected(light, first, end, noise)
        return self._handed_over(collected, normals, noise)

    def frame_rows(self, light: Scene) -> NDArray[np.float32]:
        """Return the same for the whole frame, charge that spills between rows included."""
        params = self.params
        height, width = light.shape
        step = cfa_tile(params.cfa).shape[0]
        charge = np.empty((height, width), np.float32)
        if self.is_usual:

            def expose_band(first: int, end: int) -> None:
                self.expose(light, first, charge[first:end])

            for_each_band(height, width, step, expose_band, band_px=None)
            return charge
        # Numbers for the read noise that were drawn together with the electrons; empty where they were not.
        normals = np.empty((height if self._draws_pairs else 0, width), np.float32)

        def collect(first: int, end: int) -> None:
            charge[first:end], drawn = self._collected(light, first, end, self._noise(first))
            normals[first:end] = drawn

        def hand_over(first: int, end: int) -> None:
            spilt[first:end] = self._handed_over(spilt[first:end], normals[first:end], self._noise(first))

        for_each_band(height, width, step, collect)
        spilt = blooming(charge, params.full_well_e, params.blooming_fraction)
        for_each_band(height, width, step, hand_over)
        return spilt

    @cached_property
    def _response(self) -> NDArray[np.float64]:
        return camera_response(self.params.color_matrix, self.params.white_balance)

    @property
    def _draws_pairs(self) -> bool:
        return self.sampler == "fast" and self.params.shot_noise

    def _noise(self, first: int) -> NoiseSource:
        return NoiseSource(seed=self.seed, frame=self.frame, origin=(first, 0), maps=self.maps)

    @cached_property
    def is_usual(self) -> bool:
        """Whether light becomes charge by the effects that nearly every sensor has, and one pass does them all."""
        params = self.params
        return (
            self._draws_pairs
            and params.blooming_fraction == 0
            and self.wait_s is None
            and (params.hot_pixel_fraction == 0 or params.hot_pixel_e_per_s == 0)
            and not self._has_rare_effects
        )

    def expose(self, light: Scene, first: int, out: NDArray[Any], converter: LinearConverter | None = None) -> None:
        """Fill ``out`` with what the rows from ``first`` on hand over, in one pass; for :attr:`is_usual` sensors.

        Parameters are those of :func:`sensor.fast_draws.expose`.
        """
        params = self.params
        pixels, decode = light.band(first, first + out.shape[0])
        expose(
            pixels,
            cfa_tile(params.cfa),
            self._response,
            self._noise(first),
            electrons=self._electrons,
            prnu_share=params.prnu_percent / 100,
            dark_e=self._dark_e(params.dark_current_e_per_s),
            full_well_e=params.full_well_e,
            dsnu_e=params.dsnu_e,
            read_noise_e=params.gauss_noise_e(self.gain),
            out=out,
            converter=converter,
            decode=decode,
        )

    @property
    def _electrons(self) -> float:
        return self.params.saturation_e * self.exposure_s / REFERENCE_EXPOSURE_S

    def _collected(
        self, light: Scene, first: int, end: int, noise: NoiseSource
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the electrons that light and heat free, before anything limits them, and normals drawn with them."""
        params = self.params
        seen = sample_mosaic(light.light(first, end), cfa_tile(params.cfa), self._response)
        # Before the next line, which works in place.
        rate = None if self.wait_s is None else seen * np.float32(params.saturation_e / REFERENCE_EXPOSURE_S)
        mean_e = expected_electrons(
            seen,
            np.float32(self._electrons),
            np.float32(params.prnu_percent / 100),
            _normals(Stream.PRNU, params.prnu_percent, seen.shape, noise, fixed=True),
            np.float32(self._dark_e(params.dark_current_e_per_s)),
        )
        mean_e = hot_pixels(mean_e, params.hot_pixel_fraction, self._dark_e(params.hot_pixel_e_per_s), noise)
        if rate is not None and self.wait_s is not None:
            mean_e = storage_leakage(
                mean_e,
                rate,
                self.wait_s[first:end],
                parasitic_share=params.parasitic_light_share,
                dark_e_per_s=self._dark_e(params.storage_dark_e_per_s, seconds=1.0),
            )
        if self._draws_pairs:
            return fast_shot_and_read(mean_e, noise)
        return (shot_noise(mean_e, noise) if params.shot_noise else mean_e), np.empty((0, seen.shape[1]), np.float32)

    def _handed_over(
        self, charge_e: NDArray[np.float32], normals: NDArray[np.float32], noise: NoiseSource
    ) -> NDArray[np.float32]:
        """Return the charge behind the full well, the offsets and the noise of the photosite's own transistors."""
        params = self.params
        gauss_e = params.gauss_noise_e(self.gain)
        if gauss_e == 0:
            normals = normals[:0]
        elif normals.size == 0:
            normals = noise.normals(Stream.READ, (charge_e.shape[0], charge_e.shape[1]))
        if not self._has_rare_effects:
            offsets = _normals(Stream.DSNU, params.dsnu_e, charge_e.shape, noise, fixed=True)
            return charge_with_noise(
                charge_e, params.full_well_e, np.float32(params.dsnu_e), offsets, np.float32(gauss_e), normals
            )
        charge_e = full_well(charge_e, params.full_well_e, params.full_well_knee)
        charge_e = defects(charge_e, params.defect_fraction, noise)
        charge_e = dsnu(charge_e, params.dsnu_e, noise)
        charge_e = reset_noise(charge_e, params.reset_noise_e, noise, cds=params.cds)
        charge_e = telegraph_noise(charge_e, params.rts_fraction, params.rts_amplitude_e, noise, cds=params.cds)
        charge_e = tukey_noise(charge_e, params.tukey_noise_e(self.gain), params.tukey_lambda, noise)
        return charge_e + np.float32(gauss_e) * normals if normals.size else charge_e

    @property
    def _has_rare_effects(self) -> bool:
        """Whether something stands between full well and read noise that the common chain leaves out."""
        params = self.params
        return (
            params.full_well_knee != 1
            or params.defect_fraction != 0
            or (params.reset_noise_e != 0 and not params.cds)
            or params.rts_fraction != 0
            or params.tukey_noise_e(self.gain) != 0
        )

    def _dark_e(self, rate_e_per_s: float, seconds: float | None = None) -> float:
        return dark_current(
            rate_e_per_s,
            temperature_k=self.temperature_k,
            reference_k=self.params.dark_reference_k,
            doubling_k=self.params.dark_doubling_k,
            exposure_s=self.exposure_s if seconds is None else seconds,
        )


def _normals(
    stream: Stream, spread: float, shape: tuple[int, ...], noise: NoiseSource, *, fixed: bool
) -> NDArray[np.float32]:
    """Return standard normal numbers of a tile, or none at all for an effect that is off."""
    height, width = shape
    return noise.normals(stream, (height, width), fixed=fixed) if spread != 0 else np.empty((0, width), np.float32)
