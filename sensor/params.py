"""What a sensor is, in numbers with units."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from sensor.cfa import cfa_tile
from sensor.circuit_figures import CIRCUIT_RANGES, CONVERTERS, SHUTTERS, CircuitFigures
from sensor.effect_figures import EFFECT_RANGES, READ_NOISES, EffectFigures
from sensor.errors import PresetError, RawFrameError
from sensor.spectral_qe import SpectralQe
from sensor.tukey_noise import tukey_deviation

REFERENCE_EXPOSURE_S = 0.01
"""Scene value 1.0 saturates the most sensitive colour at this exposure and base gain."""

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class SensorParams(EffectFigures, CircuitFigures):
    """One sensor in one mode, at base gain. Every effect has a value that turns it off.

    The figures of :class:`sensor.effect_figures.EffectFigures` and :class:`sensor.circuit_figures.CircuitFigures` are
    figures of a sensor too.

    Attributes
    ----------
    name, title : str
        Short name, and what a person would call it.
    height_px, width_px : int
        Native size, whole periods of the colour filter.
    pixel_pitch_um : float
        Distance between photosites, in micrometres.
    cfa : str
        Letters of the colour filter's tile, see :func:`sensor.cfa.cfa_tile`.
    bit_depth : int
        Converter resolution, 8 to 16.
    black_level_dn : float
        Code of no signal.
    gain_dn_per_e : float
        System gain K at base gain.
    full_well_e : float
        Capacity of a photosite; ``inf`` is off.
    read_noise_e : float
        Noise of the pixel itself, whatever the gain; 0 is off.
    converter_noise_dn : float
        Noise behind the amplifier; 0 is off. In electrons it falls as the gain rises.
    dark_current_e_per_s, dark_reference_k, dark_doubling_k : float
        Dark current, the temperature it holds at, and the rise that doubles it; 0 e-/s is off.
    prnu_percent, dsnu_e : float
        Spread of sensitivity and of offset between photosites; 0 is off.
    quantum_efficiency : float
        Electrons per photon of green light, 0 to 1; turns electrons into photons in reports.
    spectral_qe : SpectralQe, optional
        Electrons per photon over wavelength, a curve for each colour of the filter array: what
        :class:`sensor.SpectralScene` needs. Scenes of colours do without: their colours are those of ``color_matrix``.
    color_matrix : tuple of 3 rows of 3 floats
        White-balanced camera colours to linear sRGB. Each row sums to 1, so that white stays white.
    white_balance : tuple of 3 floats
        Gains of red, green and blue for the illuminant of ``color_matrix``; the smallest is 1.
    shot_noise : bool
        False replaces the Poisson draw by its mean: for studies.
    provenance : mapping
        Figure name to where it comes from; "assumed: ..." where nobody published it.
    """

    name: str
    title: str
    height_px: int
    width_px: int
    pixel_pitch_um: float
    cfa: str
    bit_depth: int
    black_level_dn: float
    gain_dn_per_e: float
    full_well_e: float
    read_noise_e: float
    converter_noise_dn: float
    dark_current_e_per_s: float
    dark_reference_k: float
    dark_doubling_k: float
    prnu_percent: float
    dsnu_e: float
    quantum_efficiency: float
    color_matrix: Matrix
    white_balance: tuple[float, float, float]
    spectral_qe: SpectralQe | None = None
    shot_noise: bool = True
    provenance: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        try:
            rows, columns = cfa_tile(self.cfa).shape
        except RawFrameError as error:
            raise PresetError(f"sensor {self.name!r}: {error}") from None
        self._within("height_px", rows, 1 << 16)
        self._within("width_px", columns, 1 << 16)
        if self.height_px % rows or self.width_px % columns:
            self._refuse("height_px and width_px", f"be whole periods of the colour filter, {rows}x{columns}")
        self._within("pixel_pitch_um", 0.1, 1000)
        self._within("bit_depth", 8, 16)
        self._within("black_level_dn", 0, (1 << self.bit_depth) / 2)
        self._within("gain_dn_per_e", 1e-6, 1e6)
        self._within("full_well_e", 1, math.inf)
        self._within("read_noise_e", 0, 1e4)
        self._within("converter_noise_dn", 0, 1e4)
        self._within("dark_current_e_per_s", 0, 1e9)
        self._within("dark_reference_k", 1, 1000)
        self._within("dark_doubling_k", 0.1, 1000)
        self._within("prnu_percent", 0, 15)
        self._within("dsnu_e", 0, 1e5)
        self._within("quantum_efficiency", 0.001, 1)
        for name, (low, high) in {**EFFECT_RANGES, **CIRCUIT_RANGES}.items():
            self._within(name, low, high)
        self._one_of("read_noise_kind", READ_NOISES)
        self._one_of("converter", CONVERTERS)
        self._one_of("shutter", SHUTTERS)
        self._check_colour()

    def _refuse(self, names: str, rule: str) -> NoReturn:
        raise PresetError(f"sensor {self.name!r}: {names} must {rule}")

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        # NaN fails both comparisons, so it is refused too.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._refuse(name, f"be a number from {low:g} to {high:g}, not {value!r}")

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            self._refuse(name, f"be one of {', '.join(choices)}, not {getattr(self, name)!r}")

    def _check_colour(self) -> None:
        if self.spectral_qe is not None and not isinstance(self.spectral_qe, SpectralQe):
            self._refuse("spectral_qe", f"be a sensor.SpectralQe, not {type(self.spectral_qe).__name__}")
        try:
            matrix = np.asarray(self.color_matrix, np.float64)
            gains = np.asarray(self.white_balance, np.float64)
        except (ValueError, TypeError):
            self._refuse("color_matrix and white_balance", "be 3 x 3 and 3 numbers")
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-3:
            self._refuse("color_matrix", "be 3 rows of 3 numbers that can be inverted")
        if np.abs(matrix.sum(1) - 1).max() > 1e-3:
            self._refuse("color_matrix", "have rows that sum to 1, so that white stays white")
        if gains.shape != (3,) or not (np.isfinite(gains).all() and abs(gains.min() - 1) < 1e-9 and gains.max() < 100):
            self._refuse("white_balance", "be 3 gains, the smallest of them 1")

    @property
    def saturation_e(self) -> float:
        """Electrons that saturate a photosite at base gain, the smaller of well and converter range."""
        return min(self.full_well_e, ((1 << self.bit_depth) - 1 - self.black_level_dn) / self.gain_dn_per_e)

    @property
    def storage_leaks(self) -> bool:
        """Whether charge waits in storage nodes that light or heat reaches."""
        return self.shutter == "global" and (self.parasitic_light_share != 0 or self.storage_dark_e_per_s != 0)

    def white_level_dn(self, gain: float = 1.0) -> int:
        """Return the code of a saturated photosite when the amplifier stands at ``gain`` times base gain."""
        top = (1 << self.bit_depth) - 1
        if math.isinf(self.full_well_e):
            return top
        return min(top, math.floor(self.black_level_dn + self.full_well_e * self.gain_dn_per_e * gain + 0.5))

    def gauss_noise_e(self, gain: float = 1.0) -> float:
        """Return the spread of the Gaussian read noise, referred to the pixel; 0 when read noise is Tukey-lambda."""
        if self.read_noise_kind != "gauss":
            return 0.0
        return math.hypot(self.read_noise_e, self.converter_noise_dn / (self.gain_dn_per_e * gain))

    def tukey_noise_e(self, gain: float = 1.0) -> float:
        """Return the scale of the Tukey-lambda read noise, referred to the pixel; 0 when read noise is Gaussian."""
        if self.read_noise_kind != "tukey":
            return 0.0
        return math.hypot(self.tukey_scale_e, self.tukey_scale_dn / (self.gain_dn_per_e * gain))

    def row_spread_e(self, gain: float = 1.0) -> float:
        """Return the spread of the row noise, referred to the pixel, at ``gain`` times base gain."""
        return math.hypot(self.row_noise_e, self.row_noise_dn / (self.gain_dn_per_e * gain))

    def total_read_noise_e(self, gain: float = 1.0) -> float:
        """Return the standard deviation of all noise without light, referred to the pixel, at ``gain`` times base gain.

        Pixel, converter, row and banding noise, and over the frame's photosites those of resets and telegraph
        signals; without the dark current's shot noise.
        """
        return math.hypot(
            self.gauss_noise_e(gain),
            tukey_deviation(self.tukey_lambda) * self.tukey_noise_e(gain),
            self.row_spread_e(gain),
            self.banding_noise_e,
            0.0 if self.cds else self.reset_noise_e,
            # Mean square of an exponential step A is 2 A^2; a quarter of the time each way, or half a step each way.
            self.rts_amplitude_e * math.sqrt(self.rts_fraction * (1.0 if self.cds else 0.5)),
        )
