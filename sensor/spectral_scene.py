r"""Scenes whose light has a spectrum in every pixel.

A sensor with a spectral quantum efficiency counts, behind a filter of colour c,

.. math:: N_c = \sum_i \Phi(\lambda_i)\,\eta_c(\lambda_i)\,t, \qquad
          \Phi(\lambda_i) = E(\lambda_i)\,\Delta\lambda_i\,A\,\frac{\lambda_i}{h c}

electrons in an exposure t, with E the irradiance on the sensor, A the photosite's area.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensor.cfa import cfa_tile
from sensor.colour import camera_response
from sensor.errors import SceneError
from sensor.illuminant import LIGHT_M_PER_S, PLANCK_J_S, Illuminant, bin_widths, checked_wavelengths, illuminant
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.scene import MAX_VALUE, Scene
from sensor.spectral_qe import COLOURS, SpectralQe


class SpectralScene:
    """Spectra, pixel by pixel; made by :meth:`from_irradiance` or :meth:`from_reflectance`.

    ``Camera.capture`` takes it as it takes a :class:`sensor.Scene`, if the sensor has a ``spectral_qe``.
    """

    def __init__(
        self, spectra: NDArray[np.float32], wavelength_nm: NDArray[np.float64], power: NDArray[Any], level: float | None
    ) -> None:
        """Keep spectra (H, W, L) that ``power`` (L,) turns into W/m^2 in each bin; with ``level``, on any scale."""
        self._spectra = spectra
        self._wavelength_nm = wavelength_nm
        self._power = power
        self._level = level

    def __repr__(self) -> str:
        height, width = self.shape
        first, last = self._wavelength_nm[[0, -1]]
        return f"SpectralScene({height} x {width}, {len(self._wavelength_nm)} wavelengths, {first:g} to {last:g} nm)"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        height, width = self._spectra.shape[:2]
        return height, width

    @classmethod
    def from_irradiance(cls, irradiance: ArrayLike, wavelength_nm: ArrayLike) -> Self:
        """Take the light that falls on the sensor, in absolute units.

        Parameters
        ----------
        irradiance : array_like of float, shape (H, W, L)
            In W/m^2 per nm; for a single wavelength, in W/m^2. Not negative.
        wavelength_nm : array_like, shape (L,)
            Rising, 100 to 3000 nm.

        Raises
        ------
        SceneError
            For other shapes and impossible values.
        """
        nm = checked_wavelengths(wavelength_nm)
        return cls(_checked_spectra(irradiance, len(nm), "irradiance"), nm, bin_widths(nm), None)

    @classmethod
    def from_reflectance(
        cls,
        reflectance: ArrayLike,
        wavelength_nm: ArrayLike | None = None,
        *,
        light: str | Path | Illuminant = "D65",
        level: float = 1.0,
    ) -> Self:
        """Take surfaces and the lamp that lights them.

        Parameters
        ----------
        reflectance : array_like of float, shape (H, W, L) or (H, W)
            Share of the light that comes back at each wavelength; (H, W) for surfaces without colour.
        wavelength_nm : array_like, shape (L,), optional
            Rising, 100 to 3000 nm; left out for surfaces without colour.
        light : str, Path or Illuminant
            See :func:`sensor.illuminant.illuminant`.
        level : float
            How bright: with 1, a perfect white just saturates the most sensitive colour at 0.01 s and base gain.

        Raises
        ------
        SceneError
            For other shapes and impossible values, and for light with nothing at the wavelengths given.

        Examples
        --------
        >>> SpectralScene.from_reflectance(np.full((4, 6), 0.5), light="3200K")
        SpectralScene(4 x 6, 107 wavelengths, 300 to 830 nm)
        """
        source = illuminant(light)
        if not 0 < level <= MAX_VALUE:
            raise SceneError(f"level must be above 0, up to {MAX_VALUE:g}, got {level!r}")
        if wavelength_nm is None:
            grey = _checked_spectra(np.asarray(reflectance)[..., None], 1, "reflectance of shape (H, W)")
            return cls(grey, source.wavelength_nm, source.power, level)
        nm = checked_wavelengths(wavelength_nm)
        spectra = _checked_spectra(reflectance, len(nm), "reflectance")
        power = source.power if np.array_equal(nm, source.wavelength_nm) else source.power_at(nm) * bin_widths(nm)
        if not power.sum() > 0:
            raise SceneError(f"the light has no power from {nm[0]:g} to {nm[-1]:g} nm, where the reflectance was given")
        return cls(spectra, nm, power, level)

    def seen_by(self, params: SensorParams) -> Scene:
        """Return the scene of colours that gives this sensor the electrons that the spectra give it.

        Its linear sRGB may be negative: a filter array sees colours that a display cannot show.

        Raises
        ------
        SceneError
            When the sensor has no spectral quantum efficiency, or none for one of its colours.
        """
        qe = _spectral_qe(params)
        nm, colours = self._wavelength_nm, np.unique(cfa_tile(params.cfa))
        # Photons in a bin are power times wavelength over hc.
        per_colour = qe.at(nm)[colours] * (self._power * nm)
        if self._level is None:
            area_m2 = (params.pixel_pitch_um * 1e-6) ** 2
            electrons_per_s = per_colour * (area_m2 * 1e-9 / (PLANCK_J_S * LIGHT_M_PER_S))
            weights = electrons_per_s * (REFERENCE_EXPOSURE_S / params.saturation_e)
        else:
            brightest = per_colour.sum(1).max()
            if not brightest > 0:
                raise SceneError(f"sensor {params.name!r} does not see light of these wavelengths at all")
            weights = per_colour * (self._level / brightest)
        if self._spectra.shape[2] == 1:
            weights = weights.sum(1, keepdims=True)
        if len(colours) == 1:
            return Scene(np.ascontiguousarray(self._spectra @ weights[0].astype(np.float32)))
        response = camera_response(params.color_matrix, params.white_balance)[colours]
        mixed = np.linalg.pinv(response) @ weights
        return Scene(np.ascontiguousarray(self._spectra @ mixed.T.astype(np.float32)))


def relight(scene: Scene, sensor: SensorParams, light: str | Path | Illuminant, reference: str = "D65") -> Scene:
    r"""Return a scene of colours as this sensor sees it under another lamp.

    .. math:: x' = R^{-1}\,\mathrm{diag}\Big(\frac{\eta_c(L)\,\eta_g(L_0)}{\eta_c(L_0)\,\eta_g(L)}\Big)\,R\,x

    with :math:`\eta_c(L)` from :meth:`SpectralQe.under`, R the camera's response, g green. Three colours cannot tell
    how a surface reflects each wavelength, so this holds for greys and nearly for pale colours; spectra
    (:class:`SpectralScene`) are exact. Green keeps its level.

    Parameters
    ----------
    scene : Scene
        As lit by ``reference``, the light that the sensor's colour matrix was measured for.
    sensor : SensorParams
        With red, green and blue filters and a ``spectral_qe``.
    light : str, Path or Illuminant
        See :func:`sensor.illuminant.illuminant`.
    reference : str
        Another such name.

    Raises
    ------
    SceneError
        When the sensor cannot see one of the lights with one of its colours, or has no spectral quantum efficiency.
    """
    qe = _spectral_qe(sensor)
    if set(np.unique(cfa_tile(sensor.cfa)).tolist()) != {0, 1, 2}:
        raise SceneError(f"sensor {sensor.name!r} has no red, green and blue filters to see the light's colour with")
    now, before = qe.under(light)[:3], qe.under(reference)[:3]
    if not (before > 0).all() or not now[1] > 0:
        raise SceneError(f"sensor {sensor.name!r} does not see green in this light; give spectra instead")
    gains = now / before * (before[1] / now[1])
    response = camera_response(sensor.color_matrix, sensor.white_balance)[:3]
    matrix = np.linalg.solve(response, gains[:, None] * response)
    light_rgb = scene.rows(0, scene.shape[0])
    return Scene(np.ascontiguousarray(light_rgb @ matrix.T.astype(np.float32)))


def _spectral_qe(params: SensorParams) -> SpectralQe:
    """Return the curves of a sensor, with one for each colour of its filters."""
    qe = params.spectral_qe
    if qe is None:
        raise SceneError(
            f"sensor {params.name!r} has no spectral quantum efficiency; add spectral_qe to its preset, or give a"
            " scene of colours"
        )
    colours = np.unique(cfa_tile(params.cfa))
    missing = [COLOURS[number] for number in colours if not getattr(qe, COLOURS[number])]
    if missing:
        raise SceneError(f"sensor {params.name!r}: its spectral_qe has no curve for the {missing[0]} photosites")
    if 3 in colours and len(colours) > 1:
        raise SceneError(f"sensor {params.name!r} mixes clear and coloured photosites, which spectra do not support")
    return qe


def _checked_spectra(values: ArrayLike, count: int, name: str) -> NDArray[np.float32]:
    array = np.asarray(values)
    if array.ndim != 3 or array.shape[2] != count or 0 in array.shape or array.dtype.kind != "f":
        raise SceneError(f"{name} must be float of shape (H, W, {count}), got {array.dtype} of shape {array.shape}")
    if not (array.min() >= 0 and array.max() <= MAX_VALUE):
        raise SceneError(f"{name} must be finite, from 0 to {MAX_VALUE:g}")
    return np.array(array, np.float32)
