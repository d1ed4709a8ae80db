"""Plain loops for transposed convolution, resizing and rearranging; they share no code with the operators."""

import math

import numpy as np


def transpose_convolve(x, weight, stride, padding, output_padding, dilation, groups):
    """Scatter every input pixel of (B, C, H, W) through the kernel (C, D / groups, kh, kw)."""
    B, C, H, W = x.shape
    _, each, kh, kw = weight.shape
    full = [
        (n - 1) * stride[a] + dilation[a] * (k - 1) + 1 + output_padding[a]
        for a, (n, k) in enumerate(((H, kh), (W, kw)))
    ]
    out = np.zeros((B, each * groups, *full), x.dtype)
    for c in range(C):
        group = c // (C // groups)
        for d in range(each):
            for y in range(H):
                for column in range(W):
                    for ky in range(kh):
                        for kx in range(kw):
                            place = y * stride[0] + ky * dilation[0], column * stride[1] + kx * dilation[1]
                            out[:, group * each + d, *place] += x[:, c, y, column] * weight[c, d, ky, kx]
    return out[:, :, padding[0] : full[0] - padding[0], padding[1] : full[1] - padding[1]]


def _sources(length, outputs, mode, align_corners, scale):
    """Return, for every output, a list of (pixel, weight) along one axis."""
    step = length / outputs if scale is None else 1 / scale
    if align_corners:
        step = (length - 1) / (outputs - 1) if outputs > 1 else 0.0
    taps = []
    for o in range(outputs):
        centre = o * step if align_corners else (o + 0.5) * step - 0.5
        if mode == "nearest":
            taps.append([(min(math.floor(o * step), length - 1), 1.0)])
        elif mode == "nearest-exact":
            taps.append([(min(math.floor((o + 0.5) * step), length - 1), 1.0)])
        elif mode == "bilinear":
            place = max(centre, 0.0)
            left = min(math.floor(place), length - 1)
            share = place - left
            taps.append([(left, 1 - share), (min(left + 1, length - 1), share)])
        else:
            left = math.floor(centre)
            share = centre - left
            near = [(min(max(left + k, 0), length - 1), _cubic(share - k)) for k in (-1, 0, 1, 2)]
            taps.append(near)
    return taps


def _cubic(distance, a=-0.75):
    """Keys' cubic kernel, as PyTorch parametrises it."""
    t = abs(distance)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def resize(x, size, mode, align_corners=False, scale=(None, None)):
    """Resize (B, C, H, W) output by output."""
    out = np.zeros((*x.shape[:2], *size), x.dtype)
    rows = _sources(x.shape[2], size[0], mode, align_corners, scale[0])
    columns = _sources(x.shape[3], size[1], mode, align_corners, scale[1])
    for oy in range(size[0]):
        for ox in range(size[1]):
            for y, down in rows[oy]:
                for column, right in columns[ox]:
                    out[:, :, oy, ox] += x[:, :, y, column] * (down * right)
    return out


def pixel_shuffle(x, r):
    """Spread the channels of (B, C * r * r, H, W) over r x r pixels."""
    B, C, H, W = x.shape
    out = np.zeros((B, C // (r * r), H * r, W * r), x.dtype)
    for c in range(C // (r * r)):
        for y in range(H * r):
            for column in range(W * r):
                part = (y % r) * r + column % r
                out[:, c, y, column] = x[:, c * r * r + part, y // r, column // r]
    return out
