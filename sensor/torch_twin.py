"""The camera in torch: batched and differentiable, for training networks on what a sensor makes of their input.

Not imported with the package, which works without torch: ``from sensor.torch_twin import TorchCamera``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensor.cfa import cfa_tile
from sensor.colour import camera_response
from sensor.column_pattern import column_pattern
from sensor.counter_rng import NoiseSource, Stream
from sensor.dark_current import dark_current
from sensor.defects import defects
from sensor.errors import CaptureError
from sensor.hot_pixels import hot_pixels
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.presets import sensor_preset
from sensor.readout_timing import row_time_s, storage_wait_s
from sensor.sar_converter import capacitor_weights
from sensor.telegraph_noise import telegraph_noise
from sensor.torch_draws import Draws, FrameDraws, GeneratorDraws, uniforms
from sensor.torch_effects import (
    banding_wave,
    blooming,
    convert,
    convert_sar,
    full_well,
    telegraph_level,
    tukey_quantile,
)


class TorchCamera(nn.Module):
    r"""One individual camera, as a layer from linear light to codes.

    The chain is that of :class:`sensor.Camera` without a multiplexer, all effects of
    :class:`sensor.effect_figures.EffectFigures` included. Fixed patterns are the same as those of a camera with this
    seed, and with ``frames`` so is the noise: codes then agree within one. Gradients:

    * shot noise is reparametrised, :math:`N = \mu + z \sqrt\mu` with :math:`z = (N - \mu) / \sqrt\mu` of a Poisson draw
      held constant, so that values are exactly Poisson and :math:`dN / d\mu = 1 + z / (2 \sqrt\mu)`;
    * the converter rounds in the forward direction and passes the gradient straight through between its end codes;
    * well, blooming, column gains and a bent ramp pass their own slopes; dead and stuck photosites pass none.

    Parameters
    ----------
    sensor : str, Path or SensorParams
        A preset's name, the path of a preset file, or the numbers themselves.
    shape : tuple of int
        Size of the frames, whole colour-filter periods.
    seed : int
        Seed of the fixed patterns.
    temperature_k : float, optional
        By default the one the dark current was measured at.
    gain : float
        Amplifier gain, as a multiple of base gain.

    Raises
    ------
    CaptureError
        For a shape that is no whole number of colour-filter periods.

    Examples
    --------
    >>> camera = TorchCamera("imx477", (4, 6))
    >>> camera(torch.full((2, 3, 4, 6), 0.5)).shape
    torch.Size([2, 1, 4, 6])
    """

    _colour: Tensor
    _response: Tensor
    _sensitivity: Tensor
    _offset: Tensor
    _surplus: Tensor
    _wait: Tensor
    _answer: Tensor
    _step: Tensor
    _column_gain: Tensor
    _column_offset: Tensor
    _weights: Tensor

    def __init__(
        self,
        sensor: str | Path | SensorParams,
        shape: tuple[int, int],
        *,
        seed: int = 0,
        temperature_k: float | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.params = params = sensor if isinstance(sensor, SensorParams) else sensor_preset(sensor)
        tile = cfa_tile(params.cfa)
        height, width = shape
        if height <= 0 or width <= 0 or height % tile.shape[0] or width % tile.shape[1]:
            raise CaptureError(f"shape must be whole colour-filter periods of {tile.shape}, got {shape}")
        self.gain = gain
        self.seed = seed
        self.temperature_k = params.dark_reference_k if temperature_k is None else temperature_k
        colour = np.tile(tile, (height // tile.shape[0], width // tile.shape[1])).astype(np.int64)
        response = camera_response(params.color_matrix, params.white_balance).astype(np.float32)
        maps = {"_colour": colour, "_response": response, **_fixed_maps(params, shape, seed)}
        for name, values in maps.items():
            # Rebuilt from preset and seed, so none of it belongs into a checkpoint.
            self.register_buffer(name, torch.from_numpy(np.array(values)), persistent=False)

    def expected_electrons(self, light: Tensor, exposure_s: float = REFERENCE_EXPOSURE_S) -> Tensor:
        """Return the mean electrons of each photosite, (B, H, W), for linear sRGB light (B, 3, H, W)."""
        height, width = self._colour.shape
        if light.ndim != 4 or light.shape[1:] != (3, height, width):
            raise CaptureError(f"light must have shape (B, 3, {height}, {width}), got {tuple(light.shape)}")
        params = self.params
        response = self._response[self._colour].permute(2, 0, 1)
        seen = (light * response).sum(1).clamp(min=0)
        rate = params.saturation_e / REFERENCE_EXPOSURE_S
        mean = seen * (rate * exposure_s) * self._sensitivity + self._dark_e(params.dark_current_e_per_s, exposure_s)
        mean = mean + self._dark_e(params.hot_pixel_e_per_s, exposure_s) * self._surplus
        leak = params.parasitic_light_share * rate * seen + self._dark_e(params.storage_dark_e_per_s, 1.0)
        return mean + leak * self._wait

    def _dark_e(self, rate_e_per_s: float, seconds: float) -> float:
        return dark_current(
            rate_e_per_s,
            temperature_k=self.temperature_k,
            reference_k=self.params.dark_reference_k,
            doubling_k=self.params.dark_doubling_k,
            exposure_s=seconds,
        )

    def forward(
        self,
        light: Tensor,
        exposure_s: float = REFERENCE_EXPOSURE_S,
        *,
        electrons: Tensor | None = None,
        noise: bool = True,
        generator: torch.Generator | None = None,
        frames: Sequence[int] | None = None,
    ) -> Tensor:
        """Return codes, as floats that carry gradients.

        Parameters
        ----------
        light : Tensor of float, shape (B, 3, H, W)
            Linear sRGB; 1.0 saturates at 0.01 s and base gain.
        exposure_s : float
            Exposure time.
        electrons : Tensor, shape (B, H, W), optional
            Electron counts in the place of drawn ones; gradients still flow through their mean.
        noise : bool
            False leaves out all noise: whatever changes from frame to frame.
        generator : torch.Generator, optional
            Source of the noise.
        frames : sequence of int, optional
            Instead of a generator, the numbers of B frames: the noise is that of ``Camera(..., seed=seed,
            sampler="exact")`` in these frames. Drawn on the processor, and slower.

        Returns
        -------
        Tensor of float32, shape (B, 1, H, W)
            Whole numbers, 0 to the top code.
        """
        params = self.params
        mean = self.expected_electrons(light, exposure_s)
        if frames is not None and (generator is not None or len(frames) != len(mean)):
            raise CaptureError(f"give either a generator or {len(mean)} frame numbers, one for each frame of the batch")
        draws = GeneratorDraws(mean, generator) if frames is None else FrameDraws(mean, self.seed, frames)
        charge = mean
        if electrons is not None or (noise and params.shot_noise):
            with torch.no_grad():
                drawn = draws.counts(mean) if electrons is None else electrons.to(mean)
                z = (drawn - mean) / mean.clamp(min=1e-6).sqrt()
            # Written so that the value is the drawn count itself, whatever the rounding of z.
            path = mean + z * mean.clamp(min=1e-6).sqrt()
            charge = path + (drawn - path).detach()
        charge = blooming(charge, params.full_well_e, params.blooming_fraction)
        charge = full_well(charge, params.full_well_e, params.full_well_knee)
        # A dead or stuck photosite gives its own charge, whatever it collected.
        charge = torch.where(self._answer == 1, charge, self._answer) + self._offset
        if noise:
            charge = charge + self._pixel_noise(draws)
        charge = charge * self._column_gain + self._column_offset
        if noise:
            charge = charge + self._row_noise(draws)
        exact = charge * (params.gain_dn_per_e * self.gain) + params.black_level_dn
        if self._weights.numel():
            codes = convert_sar(exact, self._weights)
        else:
            bend = params.ramp_curvature_dn if params.converter == "single-slope" else 0.0
            codes = convert(exact, params.bit_depth, bend)
        return codes[:, None]

    def _pixel_noise(self, draws: Draws) -> Tensor | float:
        """Return reset, telegraph and read noise of a batch, in electrons."""
        params, size = self.params, self._colour.shape
        noise: Tensor | float = 0.0
        if params.reset_noise_e != 0 and not params.cds:
            noise = noise + params.reset_noise_e * draws.normals(Stream.RESET, *size)
        if self._step.numel():
            state = draws.words(Stream.TELEGRAPH_STATE, *size)
            noise = noise + self._step * telegraph_level(state, cds=params.cds)
        if (scale_e := params.tukey_noise_e(self.gain)) != 0:
            u = uniforms(draws.words(Stream.TUKEY, *size))
            noise = noise + (scale_e * tukey_quantile(u, params.tukey_lambda)).to(self._offset)
        if (gauss_e := params.gauss_noise_e(self.gain)) != 0:
            noise = noise + gauss_e * draws.normals(Stream.READ, *size)
        return noise

    def _row_noise(self, draws: Draws) -> Tensor | float:
        """Return row and banding noise of a batch, in electrons, (B, H, 1)."""
        params, (height, width) = self.params, self._colour.shape
        noise: Tensor | float = 0.0
        if (row_e := params.row_spread_e(self.gain)) != 0:
            noise = noise + row_e * draws.normals(Stream.ROW, height, 1)
        if params.banding_noise_e != 0:
            phase = uniforms(draws.words(Stream.BANDING, 1, 1))
            row_s = row_time_s(params, width_px=width)
            wave = banding_wave(phase, params.banding_noise_e, params.banding_hz, row_s, height)
            noise = noise + wave.to(self._offset)
        return noise


def _fixed_maps(params: SensorParams, shape: tuple[int, int], seed: int) -> dict[str, NDArray[Any]]:
    """Return what stays the same from frame to frame, each of shape (H, W) or smaller; empty where it is not needed."""
    noise = NoiseSource(seed=seed)
    zeros, ones = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    has_traps = params.rts_fraction != 0 and params.rts_amplitude_e != 0
    # One sample alone is half a step up or down.
    jump = telegraph_noise(zeros, params.rts_fraction, params.rts_amplitude_e, noise, cds=False)
    has_capacitors = params.converter == "sar" and params.capacitor_mismatch_percent != 0
    return {
        "_sensitivity": 1 + np.float32(params.prnu_percent / 100) * noise.normals(Stream.PRNU, shape, fixed=True),
        "_offset": np.float32(params.dsnu_e) * noise.normals(Stream.DSNU, shape, fixed=True),
        "_surplus": hot_pixels(zeros, params.hot_pixel_fraction, 1.0, noise),
        "_wait": storage_wait_s(params, shape) if params.storage_leaks else zeros[:1, :1],
        "_answer": defects(ones, params.defect_fraction, noise),
        "_step": 2 * np.abs(jump) if has_traps else zeros[:0],
        "_column_gain": column_pattern(ones[:1], 0.0, params.column_gain_percent, noise),
        "_column_offset": column_pattern(zeros[:1], params.column_offset_e, 0.0, noise),
        "_weights": capacitor_weights(shape[1], params.bit_depth, params.capacitor_mismatch_percent, seed)
        if has_capacitors
        else zeros[:0],
    }
