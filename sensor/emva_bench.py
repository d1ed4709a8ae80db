"""EMVA 1288: the measuring bench, a lamp before a simulated camera, and what the camera was built with."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scrambler import FixedNonceGuard
from sensor.adc import ramp_error_dn
from sensor.camera import Camera
from sensor.cfa import MONO
from sensor.dark_current import dark_current
from sensor.emva_analysis import EmvaFigures, PhotonTransfer, linearity_error_percent
from sensor.emva_frames import EmvaSeries
from sensor.params import REFERENCE_EXPOSURE_S
from sensor.scene import Scene

_STACK_FRAMES = 32
_DARK_STEPS = 6
_DARK_ELECTRONS = 200.0
_LONGEST_S = 1e4
# Even steps for the slopes, finer ones around saturation, whose place the largest variance tells.
_STEPS = np.concatenate([np.linspace(0, 0.85, 36), np.linspace(0.86, 1.1, 25)])


def bench_series(camera: Camera, shape: tuple[int, int], nonce: bytes | None = None) -> list[EmvaSeries]:
    """Return the series of one session; every frame has a number of its own.

    Flat frames of green light without optics, in 60 steps from dark to 10 % beyond saturation and the dark itself, two
    of each; 32 dark frames and 32 at half saturation; pairs of dark frames at six exposure times. The camera's colour
    filter array is left out, so that every photosite sees the light; seed, gain, temperature and readout stay. Shuffled
    frames are unshuffled with the camera's own key. With a ``nonce``, all frames are read in the same order.
    """
    params = replace(camera.params, cfa=MONO)
    # Counts for itself: flat frames hold no scene that one order for all of them could give away.
    mux = None if camera.multiplexer is None else replace(camera.multiplexer, guard=FixedNonceGuard())
    bench = Camera(
        params,
        mux,
        camera.seed,
        shape,
        camera.temperature_k,
        camera.gain,
        camera.stage,
        camera.network if camera.stage == "pre-adc" else None,
    )
    truth = camera_truth(camera, fixed_order=nonce is not None)
    saturating = truth.saturation_capacity_e / truth.quantum_efficiency
    rate = truth.dark_current_e_per_s
    longest = min(_LONGEST_S, _DARK_ELECTRONS / rate) if rate > 0 else 1.0
    wanted = [(REFERENCE_EXPOSURE_S, float(photons), 2) for photons in saturating * _STEPS]
    wanted += [(REFERENCE_EXPOSURE_S, photons, _STACK_FRAMES) for photons in (0.0, saturating / 2)]
    wanted += [(float(exposure), 0.0, 2) for exposure in np.linspace(0, longest, _DARK_STEPS)]
    series, first = [], 0
    for exposure_s, photons, count in wanted:
        series.append(_bench_one(bench, exposure_s, photons, count, first, nonce))
        first += count
    return series


def _bench_one(
    bench: Camera, exposure_s: float, photons: float, count: int, first: int, nonce: bytes | None
) -> EmvaSeries:
    def frames() -> Iterator[NDArray[np.uint16]]:
        params = bench.params
        scene = Scene.from_array(
            np.full(bench.shape or (1, 1), photons * params.quantum_efficiency / params.saturation_e)
        )
        key = None if bench.multiplexer is None else bench.multiplexer.key
        for number in range(first, first + count):
            yield bench.capture(scene, exposure_s=exposure_s, frame=number, nonce=nonce).unshuffle(key).mosaic
            if bench.multiplexer is not None:
                bench.multiplexer.guard.forget()

    return EmvaSeries(exposure_s=exposure_s, photons=photons, count=count, frames=frames)


def camera_truth(camera: Camera, *, fixed_order: bool = False) -> EmvaFigures:
    """Return the figures that a camera was built with, as EMVA 1288 defines them.

    A multiplexer before the converters breaks the columns' patterns up. If all frames are read in the same order
    (``fixed_order``), they become patterns of photosites. If every frame has its own, what was offset becomes temporal
    noise; so does what was gain, and grows with the square of the signal.
    """
    params = camera.params
    gain = params.gain_dn_per_e * camera.gain
    top = (1 << params.bit_depth) - 1
    rate = dark_current(
        # The mean over all photosites, the hot ones with their surplus.
        params.dark_current_e_per_s + params.hot_pixel_fraction * params.hot_pixel_e_per_s,
        temperature_k=camera.temperature_k,
        reference_k=params.dark_reference_k,
        doubling_k=params.dark_doubling_k,
        exposure_s=1.0,
    )
    temporal = params.total_read_noise_e(camera.gain)
    pixel_offset, column_offset = params.dsnu_e, params.column_offset_e
    pixel_gain, column_gain = params.prnu_percent, params.column_gain_percent
    if camera.stage == "pre-adc" and camera.multiplexer is not None and camera.multiplexer.pattern != "rows":
        switches = camera.network.noise_e(camera.temperature_k, params.conversion_gain_v_per_e)
        temporal = math.hypot(temporal, switches)
        broken_up = math.hypot(column_offset, camera.network.injection_e)
        if fixed_order:
            pixel_offset, pixel_gain = math.hypot(pixel_offset, broken_up), math.hypot(pixel_gain, column_gain)
        else:
            temporal = math.hypot(temporal, broken_up)
        column_offset = column_gain = 0.0
    saturation_e = min(params.full_well_e, (top - params.black_level_dn) / gain)
    return EmvaFigures(
        gain_dn_per_e=gain,
        quantum_efficiency=params.quantum_efficiency,
        dark_noise_e=math.sqrt(temporal**2 + rate * REFERENCE_EXPOSURE_S),
        dsnu_e=math.hypot(pixel_offset, column_offset),
        prnu_percent=math.hypot(pixel_gain, column_gain),
        saturation_capacity_e=saturation_e,
        linearity_error_percent=_ramp_linearity_percent(camera, gain, saturation_e),
        dark_current_e_per_s=rate,
        dsnu_row_e=0.0,
        dsnu_column_e=column_offset,
        dsnu_pixel_e=pixel_offset,
        prnu_row_percent=0.0,
        prnu_column_percent=column_gain,
        prnu_pixel_percent=pixel_gain,
    )


def _ramp_linearity_percent(camera: Camera, gain: float, saturation_e: float) -> float:
    """Return the linearity error that a bent ramp makes at the bench's steps, without any noise."""
    params = camera.params
    if params.converter != "single-slope" or params.ramp_curvature_dn == 0:
        return 0.0
    electrons = saturation_e * _STEPS
    exact = params.black_level_dn + gain * electrons
    codes = exact + ramp_error_dn(exact, params.ramp_curvature_dn, params.bit_depth)
    below = _STEPS <= 1
    transfer = PhotonTransfer(photons=electrons[below], mean_dn=codes[below], variance_dn2=electrons[below])
    return linearity_error_percent(transfer)
