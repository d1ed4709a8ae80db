"""EMVA 1288: put a camera on the measuring bench and compare what comes out with what went in."""

import json
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sensor.camera import Camera
from sensor.cfa import MONO
from sensor.dark_current import dark_current
from sensor.emva_analysis import EmvaFigures, PhotonTransfer, figures, pair_statistics
from sensor.errors import CaptureError
from sensor.params import REFERENCE_EXPOSURE_S
from sensor.scene import Scene

_STACK_FRAMES = 32
_DARK_STEPS = 6
_DARK_ELECTRONS = 200.0
_LONGEST_S = 1e4


@dataclass(frozen=True, kw_only=True)
class EmvaReport(EmvaFigures):
    """Measured figures, and the truth they should be.

    Attributes
    ----------
    truth : EmvaFigures
        The figures that the camera was built with.
    transfer : PhotonTransfer
        The photon transfer curve behind them.
    """

    truth: EmvaFigures
    transfer: PhotonTransfer

    def to_json(self) -> str:
        """Return measured and true figures as JSON."""
        names = [field.name for field in fields(EmvaFigures)]
        return json.dumps(
            {"measured": {name: getattr(self, name) for name in names}, "truth": asdict(self.truth)}, indent=2
        )


def measure_emva1288(camera: Camera, *, shape: tuple[int, int] = (256, 320)) -> EmvaReport:
    """Measure a camera as EMVA 1288 (release 3.1) says, from its frames alone.

    Flat frames of green light without optics, in 61 steps from dark to 10 % beyond saturation, two of each;
    32 dark frames and 32 at half saturation; dark frames at six exposure times. The camera's colour filter array is
    left out, so that every photosite sees the light; seed, gain, temperature and readout stay. Shuffled frames are
    unshuffled with the camera's own key first.

    Parameters
    ----------
    camera : Camera
        Its parameters choose the range of the light and are the truth in the report; they do not enter the figures.
    shape : tuple of int
        Size of the frames. Standard errors fall with the square root of its area.

    Returns
    -------
    EmvaReport

    Examples
    --------
    >>> report = measure_emva1288(Camera("pregius-3.45"), shape=(64, 80))
    >>> abs(report.gain_dn_per_e / report.truth.gain_dn_per_e - 1) < 0.02
    True
    """
    if not isinstance(camera, Camera):
        raise CaptureError(f"measure_emva1288 needs a sensor.Camera, got {type(camera).__name__}")
    bench = _Bench(camera, shape)
    truth = _truth(bench)
    photons = truth.saturation_capacity_e / truth.quantum_efficiency * _STEPS
    pairs = [pair_statistics(*bench.frames(level, 2)) for level in photons]
    means, variances = (np.array(column) for column in zip(*pairs, strict=True))
    transfer = PhotonTransfer(photons=photons, mean_dn=means, variance_dn2=variances)
    half = float(photons[transfer.saturation]) / 2
    rate = truth.dark_current_e_per_s
    longest = min(_LONGEST_S, _DARK_ELECTRONS / rate) if rate > 0 else 1.0
    exposures = np.linspace(0, longest, _DARK_STEPS)
    dark_means = np.array([bench.frames(0.0, 2, float(time)).mean(dtype=np.float64) for time in exposures])
    measured = figures(
        transfer, bench.frames(0.0, _STACK_FRAMES), bench.frames(half, _STACK_FRAMES), exposures, dark_means
    )
    return EmvaReport(**asdict(measured), truth=truth, transfer=transfer)


# Even steps for the slopes, finer ones around saturation, whose place the largest variance tells.
_STEPS = np.concatenate([np.linspace(0, 0.85, 36), np.linspace(0.86, 1.1, 25)])


class _Bench:
    """A camera without its filter array, and a lamp; every frame it takes has a new number."""

    def __init__(self, camera: Camera, shape: tuple[int, int]) -> None:
        self.camera = Camera(
            replace(camera.params, cfa=MONO),
            camera.multiplexer,
            camera.seed,
            shape,
            camera.temperature_k,
            camera.gain,
        )
        self._next = 0

    def frames(self, photons: float, count: int, exposure_s: float = REFERENCE_EXPOSURE_S) -> NDArray[np.uint16]:
        """Return ``count`` frames of flat light, shape (count, H, W), in natural order."""
        params = self.camera.params
        level = photons * params.quantum_efficiency / params.saturation_e
        scene = Scene.from_array(np.full(self.camera.shape or (1, 1), level))
        mux = self.camera.multiplexer
        out = []
        for _ in range(count):
            frame = self.camera.capture(scene, exposure_s=exposure_s, frame=self._next)
            out.append(frame.unshuffle(None if mux is None else mux.key).mosaic)
            self._next += 1
        return np.stack(out)


def _truth(bench: _Bench) -> EmvaFigures:
    camera = bench.camera
    params = camera.params
    gain = params.gain_dn_per_e * camera.gain
    top = (1 << params.bit_depth) - 1
    rate = dark_current(
        params.dark_current_e_per_s,
        temperature_k=camera.temperature_k,
        reference_k=params.dark_reference_k,
        doubling_k=params.dark_doubling_k,
        exposure_s=1.0,
    )
    return EmvaFigures(
        gain_dn_per_e=gain,
        quantum_efficiency=params.quantum_efficiency,
        dark_noise_e=float(np.hypot(params.total_read_noise_e(camera.gain), np.sqrt(rate * REFERENCE_EXPOSURE_S))),
        dsnu_e=params.dsnu_e,
        prnu_percent=params.prnu_percent,
        saturation_capacity_e=min(params.full_well_e, (top - params.black_level_dn) / gain),
        linearity_error_percent=0.0,
        dark_current_e_per_s=rate,
    )
