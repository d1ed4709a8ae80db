"""EMVA 1288: measure a camera, or a folder of its frames, as the standard says."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import overload

import numpy as np

from sensor.camera import Camera
from sensor.emva_analysis import EmvaFigures, PhotonTransfer, figures
from sensor.emva_bench import bench_series, camera_truth
from sensor.emva_frames import EmvaSeries, read_emva_folder
from sensor.emva_statistics import SpatialStatistics, pair_statistics, stack_statistics
from sensor.errors import CaptureError


@dataclass(frozen=True, kw_only=True)
class EmvaMeasurement(EmvaFigures):
    """Measured figures, and the curves behind them.

    Attributes
    ----------
    transfer : PhotonTransfer
        The photon transfer curve.
    dark, half : SpatialStatistics
        Spatial statistics in the dark and near half saturation.
    """

    transfer: PhotonTransfer
    dark: SpatialStatistics
    half: SpatialStatistics

    def to_json(self) -> str:
        """Return the measured figures as JSON."""
        return json.dumps({"measured": self._measured()}, indent=2)

    def _measured(self) -> dict[str, float | None]:
        # NaN is no JSON.
        values = {field.name: float(getattr(self, field.name)) for field in fields(EmvaFigures)}
        return {name: value if np.isfinite(value) else None for name, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class EmvaReport(EmvaMeasurement):
    """Measured figures of a simulated camera, and the truth they should be.

    Attributes
    ----------
    truth : EmvaFigures
        The figures that the camera was built with.
    """

    truth: EmvaFigures

    def to_json(self) -> str:
        """Return measured and true figures as JSON."""
        return json.dumps({"measured": self._measured(), "truth": asdict(self.truth)}, indent=2)


@overload
def measure_emva1288(camera: Camera, *, shape: tuple[int, int] = ..., nonce: bytes | None = ...) -> EmvaReport: ...
@overload
def measure_emva1288(camera: str | Path) -> EmvaMeasurement: ...
def measure_emva1288(
    camera: Camera | str | Path, *, shape: tuple[int, int] = (256, 320), nonce: bytes | None = None
) -> EmvaReport | EmvaMeasurement:
    """Measure a camera as EMVA 1288 (release 3.1) says, from its frames alone.

    Parameters
    ----------
    camera : Camera, str or Path
        A camera, whose frames :func:`sensor.emva_bench.bench_series` takes: its parameters choose the range of the
        light and are the truth in the report; they do not enter the figures. Or a folder of frames with their
        descriptor, see :mod:`sensor.emva_frames`.
    shape : tuple of int
        Size of a camera's frames. Standard errors fall with the square root of its area.
    nonce : bytes, optional
        Read all frames of a keyed camera in the same order, for the study of a multiplexer before the converters: the
        columns' patterns then show as patterns of photosites, and else as temporal noise.

    Returns
    -------
    EmvaReport or EmvaMeasurement
        With truth for a camera, without it for a folder.

    Raises
    ------
    CaptureError
        For anything else, or a folder that lacks dark frames, enough steps of light, or a stack near half saturation.

    Examples
    --------
    >>> report = measure_emva1288(Camera("pregius-3.45"), shape=(64, 80))
    >>> abs(report.gain_dn_per_e / report.truth.gain_dn_per_e - 1) < 0.02
    True
    """
    if isinstance(camera, Camera):
        measured = _measure(bench_series(camera, shape, nonce), repr(camera))
        found = {field.name: getattr(measured, field.name) for field in fields(EmvaMeasurement)}
        return EmvaReport(**found, truth=camera_truth(camera, fixed_order=nonce is not None))
    if isinstance(camera, str | Path):
        return _measure(read_emva_folder(camera), str(camera))
    raise CaptureError(
        f"measure_emva1288 needs a sensor.Camera or the path of a folder of frames, got {type(camera).__name__}"
    )


def _measure(series: list[EmvaSeries], where: str) -> EmvaMeasurement:
    """Turn series into figures."""
    transfer, dark_means = _transfer(series, where)
    saturating = float(transfer.photons[transfer.saturation])
    dark, half = _stacks(series, saturating / 2, where)
    exposures = np.array(sorted(dark_means))
    means = np.array([dark_means[exposure] for exposure in exposures])
    values = figures(transfer, dark, half, exposures, means)
    return EmvaMeasurement(**asdict(values), transfer=transfer, dark=dark, half=half)


def _transfer(series: list[EmvaSeries], where: str) -> tuple[PhotonTransfer, dict[float, float]]:
    """Return the photon transfer curve of the pairs, and the mean dark value at each exposure time."""
    darks: dict[float, list[tuple[float, float]]] = defaultdict(list)
    lights: list[tuple[float, float, float, float]] = []
    for one in series:
        if one.count != 2:
            continue
        mean, variance = pair_statistics(*one.frames())
        if one.photons == 0:
            darks[one.exposure_s].append((mean, variance))
        else:
            lights.append((one.photons, one.exposure_s, mean, variance))
    missing = {exposure for _, exposure, _, _ in lights} - set(darks)
    if missing or len(lights) < 9:
        reason = (
            f"no dark pair at {min(missing):g} s" if missing else f"{len(lights)} pairs of light, nine are the least"
        )
        raise CaptureError(f"{where}: not a complete EMVA 1288 session, it has {reason}")
    dark = {exposure: tuple(np.mean(pairs, axis=0)) for exposure, pairs in darks.items()}
    # The dark of the brightest step's exposure time begins the curve.
    lights.sort()
    start = lights[-1][1]
    lights.insert(0, (0.0, start, *darks[start][0]))
    photons, exposures, means, variances = (np.array(column) for column in zip(*lights, strict=True))
    return PhotonTransfer(
        photons=photons,
        mean_dn=means,
        variance_dn2=variances,
        dark_mean_dn=np.array([dark[exposure][0] for exposure in exposures]),
        dark_variance_dn2=np.array([dark[exposure][1] for exposure in exposures]),
    ), {exposure: float(pair[0]) for exposure, pair in dark.items()}


def _stacks(series: list[EmvaSeries], photons: float, where: str) -> tuple[SpatialStatistics, SpatialStatistics]:
    """Return the statistics of the stack of light nearest to ``photons``, and of the dark of its exposure time."""
    stacks = [one for one in series if one.count > 2]
    lit = [one for one in stacks if one.photons > 0]
    if lit:
        half = min(lit, key=lambda one: abs(one.photons - photons))
        dark = [one for one in stacks if one.photons == 0 and one.exposure_s == half.exposure_s]
        if dark:
            return stack_statistics(dark[0].frames()), stack_statistics(half.frames())
    raise CaptureError(
        f"{where}: not a complete EMVA 1288 session, it needs a stack of frames near half saturation"
        " and one in the dark at the same exposure time"
    )
