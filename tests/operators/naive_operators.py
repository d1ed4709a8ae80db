"""Plain loops that the operators are held against; they share no code with them."""

import math

import numpy as np

PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(x, borders, mode="zeros", fill=0.0):
    """Pad (B, C, H, W) by ((top, bottom), (left, right))."""
    extra = {"constant_values": fill} if mode == "zeros" else {}
    return np.pad(x, ((0, 0), (0, 0), *borders), mode=PAD[mode], **extra)


def convolve(x, weight, stride=(1, 1), borders=((0, 0), (0, 0)), dilation=(1, 1), groups=1, mode="zeros"):
    """Convolve (B, C, H, W) output by output."""
    x = padded(x, borders, mode)
    B, _, H, W = x.shape
    D, each, kh, kw = weight.shape
    Ho = (H - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    Wo = (W - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((B, D, Ho, Wo), x.dtype)
    for d in range(D):
        group = d // (D // groups)
        for oy in range(Ho):
            for ox in range(Wo):
                for ky in range(kh):
                    for kx in range(kw):
                        y, column = oy * stride[0] + ky * dilation[0], ox * stride[1] + kx * dilation[1]
                        seen = x[:, group * each : (group + 1) * each, y, column]
                        out[:, d, oy, ox] += seen @ weight[d, :, ky, kx]
    return out


def pool(x, reduce, kernel, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    """Call ``reduce(values (B, C, n), rows, columns)`` for every window; rows, columns count it with its border."""
    B, C, H, W = x.shape
    sizes = []
    for axis, length in enumerate((H, W)):
        count = 0
        while True:
            start = count * stride[axis] - padding[axis]
            end = start + dilation[axis] * (kernel[axis] - 1)
            fits = end < length + padding[axis]
            if not (fits or (ceil_mode and end - stride[axis] + 1 < length + padding[axis] and start < length)):
                break
            count += 1
        sizes.append(count)
    out = np.zeros((B, C, *sizes), x.dtype)
    for oy in range(sizes[0]):
        for ox in range(sizes[1]):
            ys = [oy * stride[0] - padding[0] + k * dilation[0] for k in range(kernel[0])]
            xs = [ox * stride[1] - padding[1] + k * dilation[1] for k in range(kernel[1])]
            rows = sum(y < H + padding[0] for y in ys)
            columns = sum(column < W + padding[1] for column in xs)
            places = [(y, column) for y in ys for column in xs if 0 <= y < H and 0 <= column < W]
            # A dilated window may miss a narrow frame altogether.
            seen = [x[:, :, y, column] for y, column in places] or [np.full((B, C), -np.inf)]
            values = np.stack(seen, axis=-1)
            out[:, :, oy, ox] = reduce(values, rows, columns)
    return out


def bilinear(image, y, x):
    """Read a 2-D image between its pixels; neighbours outside count as 0."""
    H, W = image.shape
    if y <= -1 or y >= H or x <= -1 or x >= W:
        return 0.0
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for yy, wy in ((top, top + 1 - y), (top + 1, y - top)):
        for xx, wx in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= yy < H and 0 <= xx < W:
                total += wy * wx * image[yy, xx]
    return total


def deform(x, offset, weight, bias, stride, padding, dilation, mask):
    """Deformable convolution, seven loops deep."""
    B, C, _, _ = x.shape
    D, each, kh, kw = weight.shape
    _, channels, Ho, Wo = offset.shape
    per_offset_group = C // (channels // (2 * kh * kw))
    out = np.zeros((B, D, Ho, Wo))
    for b in range(B):
        for d in range(D):
            for oy in range(Ho):
                for ox in range(Wo):
                    total = 0.0 if bias is None else bias[d]
                    for c in range(each):
                        channel = d // (D // (C // each)) * each + c
                        for ky in range(kh):
                            for kx in range(kw):
                                k = channel // per_offset_group * kh * kw + ky * kw + kx
                                y = oy * stride[0] - padding[0] + ky * dilation[0] + offset[b, 2 * k, oy, ox]
                                xx = ox * stride[1] - padding[1] + kx * dilation[1] + offset[b, 2 * k + 1, oy, ox]
                                value = bilinear(x[b, channel], y, xx)
                                total += weight[d, c, ky, kx] * value * (1 if mask is None else mask[b, k, oy, ox])
                    out[b, d, oy, ox] = total
    return out


def area_average(image, h, w):
    """Shrink or enlarge (..., H, W) by cutting each output cell out of the pixels, in fractions of a pixel."""
    H, W = image.shape[-2:]
    out = np.zeros((*image.shape[:-2], h, w))
    for oy in range(h):
        for ox in range(w):
            area = 0.0
            for y in range(H):
                for x in range(W):
                    down = min(y + 1, (oy + 1) * H / h) - max(y, oy * H / h)
                    right = min(x + 1, (ox + 1) * W / w) - max(x, ox * W / w)
                    if down > 0 and right > 0:
                        out[..., oy, ox] += image[..., y, x] * (down * right)
                        area += down * right
            out[..., oy, ox] /= area
    return out


def demosaic(mosaic, cfa):
    """Bilinear demosaicing of (H, W), photosite by photosite; returns (3, H, W)."""
    H, W = mosaic.shape
    out = np.zeros((3, H, W))

    def colour(y, x):
        return cfa[(y % 2) * 2 + x % 2]

    def mirrored(place, length):
        return -place if place < 0 else 2 * (length - 1) - place if place >= length else place

    for y in range(H):
        for x in range(W):
            for c, name in enumerate("RGB"):
                if colour(y, x) == name:
                    out[c, y, x] = mosaic[y, x]
                    continue
                cross = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                corners = [(y - 1, x - 1), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x + 1)]
                near = [p for p in cross if colour(*p) == name] or [p for p in corners if colour(*p) == name]
                out[c, y, x] = np.mean([mosaic[mirrored(a, H), mirrored(b, W)] for a, b in near])
    return out
