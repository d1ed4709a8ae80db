r"""Light by its spectrum: a black body, daylight, a single line, or a measured table.

A spectrum is kept as light in narrow bins, :math:`P_i` at wavelength :math:`\lambda_i`, so that every integral over
wavelength is a sum and a laser line is one bin.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensor.errors import SceneError
from sensor.wavelength_table import read_wavelength_table

PLANCK_J_S = 6.62607015e-34
LIGHT_M_PER_S = 299_792_458.0
BOLTZMANN_J_PER_K = 1.380649e-23
"""All three exact since the SI of 2019."""

REVISED = 1.4388 / 1.4380
"""Daylights were named when Planck's law had another constant; D65 has 6500 K times this (CIE 15)."""

_GRID_NM = np.arange(300.0, 831.0, 5.0)

# Components of daylight from 300 to 830 nm in steps of 10 nm. Source: CIE 15, table of the components S0, S1, S2 of
# the relative spectral power distribution of daylight (D. B. Judd, D. L. MacAdam, G. Wyszecki, JOSA 54, 1964).
_S0 = (
    0.04, 6.0, 29.6, 55.3, 57.3, 61.8, 61.5, 68.8, 63.4, 65.8, 94.8, 104.8, 105.9, 96.8, 113.9, 125.6, 125.5, 121.3,
    121.3, 113.5, 113.1, 110.8, 106.5, 108.8, 105.3, 104.4, 100.0, 96.0, 95.1, 89.1, 90.5, 90.3, 88.4, 84.0, 85.1, 81.9,
    82.6, 84.9, 81.3, 71.9, 74.3, 76.4, 63.3, 71.7, 77.0, 65.2, 47.7, 68.6, 65.0, 66.0, 61.0, 53.3, 58.9, 61.9,
)  # fmt: skip
_S1 = (
    0.02, 4.5, 22.4, 42.0, 40.6, 41.6, 38.0, 42.4, 38.5, 35.0, 43.4, 46.3, 43.9, 37.1, 36.7, 35.9, 32.6, 27.9, 24.3,
    20.1, 16.2, 13.2, 8.6, 6.1, 4.2, 1.9, 0.0, -1.6, -3.5, -3.5, -5.8, -7.2, -8.6, -9.5, -10.9, -10.7, -12.0, -14.0,
    -13.6, -12.0, -13.3, -12.9, -10.6, -11.6, -12.2, -10.2, -7.8, -11.2, -10.4, -10.6, -9.7, -8.3, -9.3, -9.8,
)  # fmt: skip
_S2 = (
    0.0, 2.0, 4.0, 8.5, 7.8, 6.7, 5.3, 6.1, 3.0, 1.2, -1.1, -0.5, -0.7, -1.2, -2.6, -2.9, -2.8, -2.6, -2.6, -1.8, -1.5,
    -1.3, -1.2, -1.0, -0.5, -0.3, 0.0, 0.2, 0.5, 2.1, 3.2, 4.1, 4.7, 5.1, 6.7, 7.3, 8.6, 9.8, 10.2, 8.3, 9.6, 8.5, 7.0,
    7.6, 8.0, 6.7, 5.2, 7.4, 6.8, 7.0, 6.4, 5.5, 6.1, 6.5,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Illuminant:
    """Light of one spectrum, of any strength.

    Attributes
    ----------
    wavelength_nm : ndarray of float64, shape (L,)
        Rising, 100 to 3000 nm.
    power : ndarray of float64, shape (L,)
        Radiant power in each bin, not negative, on any scale.
    """

    wavelength_nm: NDArray[np.float64]
    power: NDArray[np.float64]

    @classmethod
    def from_table(cls, wavelength_nm: ArrayLike, power_per_nm: ArrayLike) -> Self:
        """Take a spectrum that was sampled; between samples it runs straight, outside them it is dark.

        Parameters
        ----------
        wavelength_nm : array_like, shape (L,)
            Two or more, rising, 100 to 3000 nm.
        power_per_nm : array_like, shape (L,)
            Spectral power, on any scale.

        Raises
        ------
        SceneError
            For other shapes, and values that are negative, not finite or all 0.
        """
        nm, power = checked_wavelengths(wavelength_nm), np.asarray(power_per_nm, np.float64)
        if power.shape != nm.shape or not (power.min() >= 0 and 0 < power.sum() < np.inf):
            raise SceneError("an illuminant needs one power for each wavelength, none negative, not all 0")
        return cls(nm, power * bin_widths(nm))

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a spectrum from a text file with two columns, wavelength in nm and power; see :meth:`from_table`."""
        nm, columns = read_wavelength_table(path)
        if len(columns) != 1:
            raise SceneError(f"{path}: an illuminant has two columns, wavelength and power, got {1 + len(columns)}")
        try:
            return cls.from_table(nm, next(iter(columns.values())))
        except SceneError as error:
            raise SceneError(f"{path}: {error}") from None

    @property
    def photons(self) -> NDArray[np.float64]:
        r"""Share of the photons in each bin, :math:`P_i \lambda_i / \sum_k P_k \lambda_k`."""
        count = self.power * self.wavelength_nm
        return np.asarray(count / count.sum(), np.float64)

    def power_at(self, wavelength_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spectral power per nm at other wavelengths, by straight lines; 0 outside.

        Raises
        ------
        SceneError
            For a single line, which has no power per nm.
        """
        if len(self.wavelength_nm) == 1:
            raise SceneError(
                f"a line at {self.wavelength_nm[0]:g} nm has no power per nm; give spectra at that wavelength alone"
            )
        density = self.power / bin_widths(self.wavelength_nm)
        return np.asarray(np.interp(wavelength_nm, self.wavelength_nm, density, left=0, right=0), np.float64)


def black_body(temperature_k: float) -> Illuminant:
    r"""Return the light of a black body, 300 to 830 nm (Planck's law).

    .. math:: P(\lambda) \propto \frac{\lambda^{-5}}{e^{h c / (\lambda k T)} - 1}

    Parameters
    ----------
    temperature_k : float
        200 to 100 000 K; 2856 K is CIE standard illuminant A, near enough.

    Examples
    --------
    >>> lamp = black_body(2856.0)
    >>> blue, red = lamp.power_at(np.array([450.0, 650.0]))
    >>> float(round(red / blue, 1))  # a lamp is red
    5.0
    """
    if not 200 <= temperature_k <= 1e5:
        raise SceneError(f"a black body has a temperature of 200 to 100000 K, got {temperature_k!r}")
    metres = _GRID_NM * 1e-9
    exponent = PLANCK_J_S * LIGHT_M_PER_S / (metres * BOLTZMANN_J_PER_K * temperature_k)
    # Relative to the largest value, so that a cold body's light does not vanish in the last digits.
    logarithm = -5 * np.log(metres) - np.log(-np.expm1(-exponent)) - exponent
    return Illuminant.from_table(_GRID_NM, np.exp(logarithm - logarithm.max()))


def daylight(temperature_k: float = 6500 * REVISED) -> Illuminant:
    r"""Return a phase of daylight, 300 to 830 nm; D65 by default.

    .. math:: P = S_0 + M_1 S_1 + M_2 S_2

    with M from the chromaticity of daylight at this correlated colour temperature. Source: CIE 15, 3.1.

    Parameters
    ----------
    temperature_k : float
        Correlated colour temperature, 4000 to 25 000 K.

    Examples
    --------
    >>> daylight().power_at(np.array([400.0, 560.0, 700.0])).round(2).tolist()  # as the CIE prints them
    [82.75, 100.0, 71.61]
    """
    t = temperature_k
    if not 4000 <= t <= 25_000:
        raise SceneError(f"daylight has a colour temperature of 4000 to 25000 K, got {t!r}")
    if t <= 7000:
        x = 0.244063 + 0.09911e3 / t + 2.9678e6 / t**2 - 4.6070e9 / t**3
    else:
        x = 0.237040 + 0.24748e3 / t + 1.9018e6 / t**2 - 2.0064e9 / t**3
    y = -3.000 * x**2 + 2.870 * x - 0.275
    # Rounded to three digits, as the standard says.
    m1 = round((-1.3515 - 1.7703 * x + 5.9114 * y) / (0.0241 + 0.2562 * x - 0.7341 * y), 3)
    m2 = round((0.0300 - 31.4424 * x + 30.0717 * y) / (0.0241 + 0.2562 * x - 0.7341 * y), 3)
    power = np.maximum(np.array(_S0) + m1 * np.array(_S1) + m2 * np.array(_S2), 0)
    tens = _GRID_NM[::2]
    return Illuminant.from_table(_GRID_NM, np.interp(_GRID_NM, tens, power))


def monochromatic(wavelength_nm: float) -> Illuminant:
    """Return the light of a single line, 100 to 3000 nm: what EMVA 1288 measures with, but for its width."""
    return Illuminant(checked_wavelengths([wavelength_nm]), np.ones(1))


def equal_energy() -> Illuminant:
    """Return light with the same power at every wavelength from 300 to 830 nm (CIE illuminant E)."""
    return Illuminant.from_table(_GRID_NM, np.ones(len(_GRID_NM)))


def illuminant(name: str | Path | Illuminant) -> Illuminant:
    """Return light by its name.

    Parameters
    ----------
    name : str, Path or Illuminant
        ``"D65"``, ``"D50"``, ``"D55"`` or ``"D75"`` (daylight), ``"A"`` (lamp, 2856 K), ``"E"`` (equal energy),
        ``"3200K"`` (black body), ``"525nm"`` (single line), or a ``.csv`` or ``.txt`` file of wavelength and power.

    Raises
    ------
    SceneError
        For any other name.

    Examples
    --------
    >>> illuminant("525nm").wavelength_nm.tolist()
    [525.0]
    """
    if isinstance(name, Illuminant):
        return name
    text = str(name)
    if text.lower().endswith((".csv", ".txt")):
        return Illuminant.from_file(text)
    if day := re.fullmatch("D(50|55|65|75)", text):
        return daylight(100 * float(day[1]) * REVISED)
    if text in ("A", "E"):
        return black_body(2856.0) if text == "A" else equal_energy()
    if number := re.fullmatch(r"(\d+(?:\.\d+)?)(K|nm)", text):
        return black_body(float(number[1])) if number[2] == "K" else monochromatic(float(number[1]))
    raise SceneError(
        f"there is no illuminant {text!r}; give D50, D55, D65, D75, A, E, a black body such as 3200K, a line such as"
        " 525nm, or a .csv file of wavelengths and powers"
    )


def checked_wavelengths(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Return wavelengths as an array; refuse what does not rise or lies outside 100 to 3000 nm."""
    nm = np.asarray(wavelength_nm, np.float64)
    if nm.ndim != 1 or nm.size == 0 or not (np.diff(nm) > 0).all() or not (nm[0] >= 100 and nm[-1] <= 3000):
        raise SceneError("wavelengths must rise within 100 to 3000 nm")
    return nm


def bin_widths(wavelength_nm: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weights of the trapezoidal rule, in nm; 1 for a single wavelength."""
    if len(wavelength_nm) == 1:
        return np.ones(1)
    widths = np.zeros(len(wavelength_nm))
    widths[:-1] += np.diff(wavelength_nm) / 2
    widths[1:] += np.diff(wavelength_nm) / 2
    return widths
