"""The camera in torch: batched and differentiable, for training networks on what a sensor makes of their input.

Not imported with the package, which works without torch: ``from sensor.torch_twin import TorchCamera``.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sensor.cfa import cfa_tile
from sensor.colour import camera_response
from sensor.counter_rng import NoiseSource, Stream
from sensor.dark_current import dark_current
from sensor.errors import CaptureError
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.presets import sensor_preset


class TorchCamera(nn.Module):
    r"""One individual camera, as a layer from linear light to codes.

    The chain is that of :class:`sensor.Camera`: colours and filter array, exposure, PRNU, dark current, shot noise,
    full well, DSNU, read noise, converter. Fixed patterns are the same as those of a camera with this seed. Gradients:

    * shot noise is reparametrised, :math:`N = \mu + z \sqrt\mu` with :math:`z = (N - \mu) / \sqrt\mu` of a Poisson draw
      held constant, so that values are exactly Poisson and :math:`dN / d\mu = 1 + z / (2 \sqrt\mu)`;
    * the converter rounds in the forward direction and passes the gradient straight through between its end codes.

    Tukey-lambda read noise is drawn as such. The other effects of :class:`sensor.effect_figures.EffectFigures` (hot
    pixels, telegraph, row and banding noise, ...) are left out, whatever the preset says.

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
        self.temperature_k = params.dark_reference_k if temperature_k is None else temperature_k
        noise = NoiseSource(seed=seed)
        maps = {
            name: spread * torch.from_numpy(np.array(noise.normals(stream, shape, fixed=True)))
            for name, stream, spread in (
                ("sensitivity", Stream.PRNU, params.prnu_percent / 100),
                ("offset", Stream.DSNU, params.dsnu_e),
            )
        }
        colour = np.tile(tile, (height // tile.shape[0], width // tile.shape[1])).astype(np.int64)
        response = camera_response(params.color_matrix, params.white_balance).astype(np.float32)
        # Rebuilt from preset and seed, so none of it belongs into a checkpoint.
        self.register_buffer("_colour", torch.from_numpy(colour), persistent=False)
        self.register_buffer("_response", torch.from_numpy(response), persistent=False)
        self.register_buffer("_sensitivity", 1 + maps["sensitivity"], persistent=False)
        self.register_buffer("_offset", maps["offset"], persistent=False)

    def expected_electrons(self, light: Tensor, exposure_s: float = REFERENCE_EXPOSURE_S) -> Tensor:
        """Return the mean electrons of each photosite, (B, H, W), for linear sRGB light (B, 3, H, W)."""
        height, width = self._colour.shape
        if light.ndim != 4 or light.shape[1:] != (3, height, width):
            raise CaptureError(f"light must have shape (B, 3, {height}, {width}), got {tuple(light.shape)}")
        params = self.params
        response = self._response[self._colour].permute(2, 0, 1)
        seen = (light * response).sum(1).clamp(min=0)
        dark = dark_current(
            params.dark_current_e_per_s,
            temperature_k=self.temperature_k,
            reference_k=params.dark_reference_k,
            doubling_k=params.dark_doubling_k,
            exposure_s=exposure_s,
        )
        return seen * (params.saturation_e * exposure_s / REFERENCE_EXPOSURE_S) * self._sensitivity + dark

    def forward(
        self,
        light: Tensor,
        exposure_s: float = REFERENCE_EXPOSURE_S,
        *,
        electrons: Tensor | None = None,
        noise: bool = True,
        generator: torch.Generator | None = None,
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
            False leaves shot and read noise out.
        generator : torch.Generator, optional
            Source of the noise.

        Returns
        -------
        Tensor of float32, shape (B, 1, H, W)
            Whole numbers, 0 to the top code.
        """
        params = self.params
        mean = self.expected_electrons(light, exposure_s)
        charge = mean
        if electrons is not None or (noise and params.shot_noise):
            with torch.no_grad():
                drawn = torch.poisson(mean, generator) if electrons is None else electrons.to(mean)
                z = (drawn - mean) / mean.clamp(min=1e-6).sqrt()
            # Written so that the value is the drawn count itself, whatever the rounding of z.
            path = mean + z * mean.clamp(min=1e-6).sqrt()
            charge = path + (drawn - path).detach()
        charge = charge.clamp(max=params.full_well_e) + self._offset
        if noise:
            charge = charge + self._read_noise(charge, generator)
        exact = charge * (params.gain_dn_per_e * self.gain) + params.black_level_dn
        exact = exact.clamp(0, (1 << params.bit_depth) - 1)
        codes = exact + (torch.floor(exact + 0.5) - exact).detach()
        return codes[:, None]

    def _read_noise(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        params = self.params
        if params.read_noise_kind == "gauss":
            normal = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
            return params.gauss_noise_e(self.gain) * normal
        u = torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        lam = params.tukey_lambda
        value = torch.log(u / (1 - u)) if abs(lam) < 1e-9 else (u**lam - (1 - u) ** lam) / lam
        return (params.tukey_noise_e(self.gain) * value).to(like)
