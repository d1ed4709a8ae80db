"""Quantum efficiency over wavelength, one curve for each colour of filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensor.errors import PresetError, SceneError
from sensor.illuminant import Illuminant, checked_wavelengths, illuminant
from sensor.wavelength_table import read_wavelength_table

COLOURS = ("red", "green", "blue", "clear")
"""In the order of the colour numbers of :func:`sensor.cfa.cfa_tile`."""


@dataclass(frozen=True, kw_only=True)
class SpectralQe:
    """Electrons per photon that reaches the photosite, filter and micro lens included.

    Attributes
    ----------
    wavelength_nm : tuple of float
        Two or more, rising.
    red, green, blue, clear : tuple of float
        Quantum efficiency at these wavelengths, 0 to 1; empty for a colour that the sensor does not have. Between
        wavelengths it runs straight, outside them it is 0.
    """

    wavelength_nm: tuple[float, ...]
    red: tuple[float, ...] = ()
    green: tuple[float, ...] = ()
    blue: tuple[float, ...] = ()
    clear: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        try:
            count = len(checked_wavelengths(self.wavelength_nm))
        except (SceneError, ValueError, TypeError):
            raise PresetError("wavelength_nm of a spectral quantum efficiency must rise within 100 to 3000") from None
        if count < 2 or not any(getattr(self, colour) for colour in COLOURS):
            raise PresetError("a spectral quantum efficiency needs two wavelengths and one colour at least")
        for colour in COLOURS:
            curve = getattr(self, colour)
            if curve and (len(curve) != count or not all(_is_share(value) for value in curve)):
                raise PresetError(f"{colour} of a spectral quantum efficiency must be {count} numbers from 0 to 1")

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any]) -> Self:
        """Take the curves from plain lists by name, as a preset file holds them.

        Raises
        ------
        PresetError
            For unknown names, and lists that are no curves.
        """
        unknown = sorted(set(table) - {"wavelength_nm", *COLOURS})
        if unknown or "wavelength_nm" not in table:
            reason = f"{unknown[0]!r} is none of them" if unknown else "wavelength_nm is missing"
            raise PresetError(f"a spectral quantum efficiency has wavelength_nm, {', '.join(COLOURS)}; {reason}")
        for name, values in table.items():
            if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
                raise PresetError(f"{name} of a spectral quantum efficiency must be a list of numbers")
        return cls(**{name: tuple(values) for name, values in table.items()})

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read the curves from a text file, such as ``wavelength_nm,red,green,blue``.

        See :func:`sensor.wavelength_table.read_wavelength_table`; every column needs its name.

        Raises
        ------
        PresetError
            Naming the file and what is wrong with it.
        """
        try:
            nm, curves = read_wavelength_table(path)
            table = {"wavelength_nm": nm.tolist(), **{name: curve.tolist() for name, curve in curves.items()}}
            return cls.from_mapping(table)
        except SceneError as error:
            raise PresetError(str(error)) from None
        except PresetError as error:
            raise PresetError(f"{path}: {error}") from None

    def at(self, wavelength_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the efficiency of red, green, blue and clear, shape (4, L); NaN for a colour without a curve."""
        return np.array(
            [
                np.interp(wavelength_nm, self.wavelength_nm, getattr(self, colour), left=0, right=0)
                if getattr(self, colour)
                else np.full(len(wavelength_nm), np.nan)
                for colour in COLOURS
            ]
        )

    def under(self, light: str | Path | Illuminant) -> NDArray[np.float64]:
        r"""Return the efficiency of each colour in light of one spectrum: one figure a channel.

        .. math:: \eta_c = \frac{\sum_i P_i \lambda_i\, \eta_c(\lambda_i)}{\sum_i P_i \lambda_i}

        Parameters
        ----------
        light : str, Path or Illuminant
            See :func:`sensor.illuminant.illuminant`.

        Returns
        -------
        ndarray of float64, shape (4,)
            Red, green, blue, clear; NaN for a colour without a curve.

        Examples
        --------
        >>> curves = SpectralQe(wavelength_nm=(400, 500, 600), green=(0.0, 0.8, 0.0))
        >>> curves.under("450nm")[1].round(3)
        np.float64(0.4)
        """
        source = illuminant(light)
        return np.asarray(self.at(source.wavelength_nm) @ source.photons, np.float64)


def _is_share(value: object) -> bool:
    # NaN fails the comparison.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
