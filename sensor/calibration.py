"""Fit a sensor's figures to real frames: dark ones at several exposure times, flat ones at several levels of light."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensor.cfa import cfa_tile
from sensor.emva_statistics import Floats, pair_statistics, stack_statistics
from sensor.errors import CaptureError
from sensor.params import SensorParams
from sensor.preset_file import write_preset
from sensor.tukey_noise import tukey_deviation

_LEAST_FRAMES = 8
_GAUSS_L_KURTOSIS = 0.12260172
"""L-kurtosis of a Gaussian, 30/pi atan(sqrt 2) - 9: J. R. M. Hosking, J. R. Statist. Soc. B 52 (1990)."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What frames say about a sensor.

    Attributes
    ----------
    black_level_dn, gain_dn_per_e : float
        Offset at no exposure, and slope of the photon transfer curve.
    read_noise_e, row_noise_e : float
        Temporal noise of photosites and of rows in the dark.
    tukey_lambda, tukey_scale_e : float
        The Tukey-lambda distribution with the L-moments of the read noise.
    dsnu_e, column_offset_e, prnu_percent, column_gain_percent : float
        Fixed patterns of photosites and of columns.
    dark_current_e_per_s : float
        Slope of the dark value; NaN for a single exposure time.
    frames : int
        How many frames it rests on.
    """

    black_level_dn: float
    gain_dn_per_e: float
    read_noise_e: float
    row_noise_e: float
    tukey_lambda: float
    tukey_scale_e: float
    dsnu_e: float
    column_offset_e: float
    prnu_percent: float
    column_gain_percent: float
    dark_current_e_per_s: float
    frames: int

    def apply(self, base: SensorParams, name: str, *, read_noise_kind: str = "gauss") -> SensorParams:
        """Return ``base`` under another name, with all fitted figures in the place of its own.

        Noise behind the amplifier becomes part of the pixel's: the figures hold at the gain of the frames.
        """
        origin = f"fitted to {self.frames} frames by sensor.calibrate"
        fitted: dict[str, Any] = {
            "black_level_dn": self.black_level_dn,
            "gain_dn_per_e": self.gain_dn_per_e,
            "read_noise_e": self.read_noise_e,
            "converter_noise_dn": 0.0,
            "read_noise_kind": read_noise_kind,
            "tukey_lambda": self.tukey_lambda,
            "tukey_scale_e": self.tukey_scale_e,
            "tukey_scale_dn": 0.0,
            "row_noise_e": self.row_noise_e,
            "row_noise_dn": 0.0,
            "dsnu_e": self.dsnu_e,
            "column_offset_e": self.column_offset_e,
            "prnu_percent": self.prnu_percent,
            "column_gain_percent": self.column_gain_percent,
        }
        if np.isfinite(self.dark_current_e_per_s):
            fitted["dark_current_e_per_s"] = max(0.0, self.dark_current_e_per_s)
        provenance = MappingProxyType({**base.provenance, **dict.fromkeys(fitted, origin)})
        return replace(base, name=name, title=f"{base.title}, {origin}", provenance=provenance, **fitted)

    def to_preset(self, path: str | Path, base: SensorParams, *, read_noise_kind: str = "gauss") -> SensorParams:
        """Write :meth:`apply`'s sensor as a preset file, named after it, and return that sensor.

        Parameters
        ----------
        path : str or Path
            Ends in ``.toml``; replaced in one step. ``Camera(path)`` is then such a camera.
        base : SensorParams
            Gives the figures that frames do not tell: size, filters, colours, well, circuit.
        read_noise_kind : str
            ``"gauss"`` or ``"tukey"``.

        Raises
        ------
        PresetError
            For another ending, a figure that no sensor can have, or a file that cannot be written.
        """
        fitted = self.apply(base, Path(path).stem, read_noise_kind=read_noise_kind)
        write_preset(fitted, path)
        return fitted


def calibrate(darks: Mapping[float, ArrayLike], flats: Sequence[ArrayLike], *, cfa: str = "W") -> Calibration:
    r"""Fit the noise model of a sensor to its frames.

    Temporal noise comes from what changes between frames of the same light, fixed patterns from what stays. In the
    dark stack of the shortest exposure, temporal noise is split into rows and photosites by an analysis of variance,
    and the photosites' part is fitted by the method of L-moments: with :math:`\tau_4` their L-kurtosis,

    .. math:: \tau_4 = \frac{(\lambda - 1)(\lambda - 2)}{(\lambda + 3)(\lambda + 4)}, \qquad
              \sigma^2 = s^2\,\mathrm{Var}(\lambda)

    Parameters
    ----------
    darks : mapping of float to array_like of unsigned integers, shape (L, H, W)
        Exposure time in seconds to frames in the dark; at least 8 of the shortest exposure and 2 of the others.
    flats : sequence of array_like of unsigned integers, shape (L, H, W)
        Frames of even light at the shortest of these exposures, one stack a level, at least 2 frames each and below
        saturation; the stack with most frames tells the patterns.
    cfa : str
        Colour filter array of the frames. Each colour sees another level, so the photosites of one place in its tile
        are taken: the first green one, else the first.

    Returns
    -------
    Calibration

    Raises
    ------
    CaptureError
        For stacks that are too small, of different sizes or of another kind; for light that adds nothing.
    """
    tile = cfa_tile(cfa)
    first = int(np.argmax(tile.ravel() == 1))
    plane = tuple(slice(start, None, step) for start, step in zip(np.unravel_index(first, tile.shape), tile.shape,
                                                                  strict=True))  # fmt: skip
    dark_stacks = {float(time): _stack(frames, f"darks at {time} s", plane) for time, frames in darks.items()}
    flat_stacks = [_stack(frames, f"flats[{number}]", plane) for number, frames in enumerate(flats)]
    if not dark_stacks or not flat_stacks:
        raise CaptureError("calibrate needs at least one stack of dark frames and one of flat frames")
    shortest = min(dark_stacks)
    dark = dark_stacks[shortest]
    shapes = {stack.shape[1:] for stack in (*dark_stacks.values(), *flat_stacks)}
    if len(shapes) > 1 or min(dark.shape[1:]) < 8:
        raise CaptureError(
            f"all frames of a calibration have one size, 8 x 8 or more of a colour; got {sorted(shapes)}"
        )
    if len(dark) < _LEAST_FRAMES:
        raise CaptureError(
            f"darks at {shortest} s: {len(dark)} frames; a calibration needs {_LEAST_FRAMES} of the shortest exposure"
        )
    gain = _gain(dark, flat_stacks)
    spatial = stack_statistics(dark)
    row_dn, pixel_dn, tau4 = _temporal(dark)
    shape_lambda = _lambda_of(tau4)
    # The converter's rounding adds 1/12 to the variance of each photosite.
    read_dn = float(np.sqrt(max(0.0, pixel_dn**2 - 1 / 12)))
    lit = stack_statistics(flat_stacks[int(np.argmax([len(stack) for stack in flat_stacks]))])
    signal = lit.mean_dn - spatial.mean_dn
    times = np.array(sorted(dark_stacks))
    means = np.array([dark_stacks[time].mean(dtype=np.float64) for time in times])
    slope, offset = np.polyfit(times, means, 1) if len(times) > 1 else (float("nan"), means[0])
    return Calibration(
        black_level_dn=float(offset),
        gain_dn_per_e=gain,
        read_noise_e=read_dn / gain,
        row_noise_e=row_dn / gain,
        tukey_lambda=shape_lambda,
        tukey_scale_e=read_dn / gain / tukey_deviation(shape_lambda),
        dsnu_e=_root(spatial.pixel_dn2) / gain,
        column_offset_e=_root(spatial.column_dn2) / gain,
        prnu_percent=100 * _root(lit.pixel_dn2 - spatial.pixel_dn2) / signal,
        column_gain_percent=100 * _root(lit.column_dn2 - spatial.column_dn2) / signal,
        dark_current_e_per_s=float(slope / gain),
        frames=sum(map(len, (*dark_stacks.values(), *flat_stacks))),
    )


def _stack(frames: ArrayLike, name: str, plane: tuple[slice, ...]) -> NDArray[np.uint16]:
    stack = np.asarray(frames)
    if stack.ndim != 3 or stack.dtype not in (np.uint8, np.uint16) or len(stack) < 2:
        raise CaptureError(
            f"{name}: frames are uint8 or uint16 of shape (2 or more, H, W), got {stack.dtype} {stack.shape}"
        )
    return stack[:, *plane].astype(np.uint16)


def _gain(dark: NDArray[np.uint16], flats: list[NDArray[np.uint16]]) -> float:
    """Return the slope of temporal variance against mean, both above dark, through the origin.

    A variance is known the better, the more pairs of frames there are and the smaller it is itself.
    """
    dark_mean, dark_variance = _mean_and_variance(dark)
    lit = np.array([_mean_and_variance(stack) for stack in flats])
    signal, shot = (lit - (dark_mean, dark_variance)).T
    if not (signal > 0).all() or not (shot @ signal) > 0:
        raise CaptureError("the flat frames are no brighter or no noisier than the dark ones; no gain can be fitted")
    weight = np.array([len(stack) // 2 for stack in flats]) / lit[:, 1] ** 2
    return float((weight * shot) @ signal / ((weight * signal) @ signal))


def _mean_and_variance(stack: NDArray[np.uint16]) -> tuple[float, float]:
    pairs = [pair_statistics(stack[at], stack[at + 1]) for at in range(0, len(stack) - 1, 2)]
    mean, variance = np.mean(pairs, axis=0)
    return float(mean), float(variance)


def _temporal(stack: NDArray[np.uint16]) -> tuple[float, float, float]:
    """Return the temporal noise of rows and of photosites in codes, and the latter's L-kurtosis."""
    count, height, width = stack.shape
    residual = stack - stack.mean(0, dtype=np.float64)
    row_means = residual.mean(2)
    inside = residual - row_means[:, :, None]
    pixel = float((inside**2).sum() / ((count - 1) * height * (width - 1)))
    # Whole frames may flicker together; that is no row noise.
    rows = row_means - row_means.mean(1, keepdims=True)
    between = float((rows**2).sum() / ((count - 1) * (height - 1)))
    return _root(between - pixel / width), float(np.sqrt(pixel)), _l_kurtosis(inside.ravel(), count)


def _l_kurtosis(sample: Floats, count: int) -> float:
    """Return the L-kurtosis of noise from its deviations about the mean of ``count`` frames."""
    ordered = np.sort(sample)
    n = len(ordered)
    place = np.arange(n, dtype=np.float64)
    # Probability-weighted moments b_r, then L-moments, after Hosking (1990); symmetric noise has no odd ones.
    b0 = ordered.mean()
    b1 = (place / (n - 1) * ordered).mean()
    b2 = (place * (place - 1) / ((n - 1) * (n - 2)) * ordered).mean()
    b3 = (place * (place - 1) * (place - 2) / ((n - 1) * (n - 2) * (n - 3)) * ordered).mean()
    found = (20 * b3 - 30 * b2 + 12 * b1 - b0) / (2 * b1 - b0)
    # Taking the mean of L frames off mixes noise: excess kurtosis shrinks by this factor, for a sum of L independent
    # terms with weights 1 - 1/L and, L - 1 times, -1/L.
    own, other = 1 - 1 / count, 1 / count
    shrunk = (own**4 + (count - 1) * other**4) / (own**2 + (count - 1) * other**2) ** 2
    return float(_GAUSS_L_KURTOSIS + (found - _GAUSS_L_KURTOSIS) / shrunk)


def _lambda_of(tau4: float) -> float:
    """Return the shape with this L-kurtosis, kept between -0.45 and 1."""
    # (tau - 1) l^2 + (7 tau + 3) l + 12 tau - 2 = 0; the root that is 0 for the logistic distribution's 1/6.
    a, b, c = tau4 - 1, 7 * tau4 + 3, 12 * tau4 - 2
    root = (-b + np.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
    return float(np.clip(root, -0.45, 1.0))


def _root(variance: float) -> float:
    return float(np.sqrt(max(0.0, variance)))
