"""The equations of the sensor's effects in torch, differentiable where the effect is smooth.

Each has the name and the equation of the module it twins, and takes frames of shape (B, H, W).
"""

import math

import torch
from torch import Tensor


def full_well(charge_e: Tensor, capacity_e: float, knee: float) -> Tensor:
    """Limit the charge; see :func:`sensor.full_well.full_well`."""
    if knee == 1 or math.isinf(capacity_e):
        return charge_e.clamp(max=capacity_e)
    start, room = knee * capacity_e, (1 - knee) * capacity_e
    beyond = (charge_e - start).clamp(min=0)
    return torch.where(charge_e <= start, charge_e, start - room * torch.expm1(-beyond / room))


def blooming(charge_e: Tensor, capacity_e: float, fraction: float) -> Tensor:
    """Spread what a full well cannot hold along the columns; see :func:`sensor.blooming.blooming`.

    One step a row, twice: the slowest effect here by far.
    """
    if fraction == 0 or math.isinf(capacity_e):
        return charge_e
    excess = (charge_e - capacity_e).clamp(min=0)
    rows = list(charge_e.clamp(max=capacity_e).unbind(1))
    for order in (range(len(rows)), reversed(range(len(rows)))):
        stream = torch.zeros_like(rows[0])
        for y in order:
            taken = torch.minimum(stream, capacity_e - rows[y])
            rows[y] = rows[y] + taken
            stream = fraction * (stream - taken + excess[:, y] / 2)
    return torch.stack(rows, 1)


def tukey_quantile(u: Tensor, shape_lambda: float) -> Tensor:
    """Return the Tukey-lambda quantile of numbers between 0 and 1; see :func:`sensor.tukey_noise.tukey_noise`."""
    low, high = torch.log(u), torch.log1p(-u)
    if abs(shape_lambda) < 1e-9:
        return low - high
    return (torch.exp(shape_lambda * low) - torch.exp(shape_lambda * high)) / shape_lambda


def telegraph_level(state: Tensor, *, cds: bool) -> Tensor:
    """Return the level of traps in steps from random words; see :func:`sensor.telegraph_noise.telegraph_noise`."""
    first, second = state & 1, state >> 1 & 1
    return second - first if cds else second - 0.5


def banding_wave(phase: Tensor, rms_e: float, frequency_hz: float, row_s: float, height: int) -> Tensor:
    """Return the hum of each row, (B, H, 1), for phases (B, 1, 1); see :func:`sensor.banding_noise.banding_noise`."""
    rows = torch.arange(height, device=phase.device, dtype=torch.float64)[:, None]
    return math.sqrt(2) * rms_e * torch.sin(2 * math.pi * (frequency_hz * row_s * rows + phase))


def convert(exact_dn: Tensor, bit_depth: int, ramp_curvature_dn: float) -> Tensor:
    """Round once, straight through for gradients between the end codes; see :func:`sensor.adc.convert`."""
    top = (1 << bit_depth) - 1
    if ramp_curvature_dn != 0:
        place = (exact_dn / top).clamp(0, 1)
        exact_dn = exact_dn + 4 * ramp_curvature_dn * place * (1 - place)
    exact_dn = exact_dn.clamp(0, top)
    return exact_dn + (torch.floor(exact_dn + 0.5) - exact_dn).detach()


def convert_sar(exact_dn: Tensor, weights: Tensor) -> Tensor:
    """Compare bit by bit with weights (W, N), straight through for gradients; see :mod:`sensor.sar_converter`."""
    bits = weights.shape[1]
    with torch.no_grad():
        level = exact_dn.double() + 0.5
        reached = torch.zeros_like(level)
        code = torch.zeros_like(level)
        for k in reversed(range(bits)):
            is_set = level >= reached + weights[:, k]
            reached = torch.where(is_set, reached + weights[:, k], reached)
            code = code + is_set * 2.0**k
    between = exact_dn.clamp(0, (1 << bits) - 1)
    return between + (code.to(between) - between).detach()
