"""High dynamic range: several exposures of one scene become one frame."""

from collections.abc import Sequence

import numpy as np

from scrambler import Key
from sensor.cfa import cfa_tile
from sensor.errors import RawFrameError
from sensor.raw_frame import RawFrame


def merge_exposures(
    frames: Sequence[RawFrame], key: Key | None = None, *, exposures: Sequence[float] | None = None
) -> RawFrame:
    r"""Merge frames of the same scene into one of 16 bits.

    Each photosite's light is the mean of its exposures, weighted by the inverse of their variance; saturated ones count
    only where all are. With q the code, b black level, K gain, :math:`\sigma` read noise, t exposure:

    .. math:: x = \frac{\sum_k w_k (q_k - b_k) / (K_k t_k)}{\sum_k w_k}, \qquad
              w_k = \frac{t_k^2}{\mu_k + \sigma_k^2 + 1 / (12 K_k^2)}, \qquad \mu_k = x_0\,t_k

    with :math:`x_0` from the longest exposure that is not saturated, so that weights hardly follow the noise of the
    value they weigh.

    Parameters
    ----------
    frames : sequence of RawFrame
        At least two, of one size and filter array, with known gain and read noise.
    key : Key, optional
        Needed for shuffled frames.
    exposures : sequence of float, optional
        Relative exposures, times of sensitivity, where they are not the frames' exposure times: for the small and the
        large photodiode of one pixel.

    Returns
    -------
    RawFrame
        Natural order, black level 0, white level 65535 where the shortest exposure saturates.

    Raises
    ------
    MissingKeyError, WrongKeyError
        When a frame is shuffled and the key is missing or another one.
    RawFrameError
        For frames that do not go together.
    """
    natural = [frame.unshuffle(key) for frame in frames]
    times = [frame.exposure_s for frame in natural] if exposures is None else list(exposures)
    if len(natural) < 2 or len(times) != len(natural) or len({(frame.shape, frame.cfa) for frame in natural}) > 1:
        raise RawFrameError("merging needs two or more frames of one size and filter array, with an exposure each")
    if any(not frame.gain_dn_per_e or frame.read_noise_e is None for frame in natural) or not all(
        time is not None and 0 < time < np.inf for time in times
    ):
        raise RawFrameError("merging needs the gain, read noise and exposure of every frame, all above 0")
    height, width = natural[0].shape
    first = natural[0]
    rows, columns = cfa_tile(first.cfa).shape
    order = np.argsort([float(time or 0.0) for time in times])[::-1]
    start = np.full((height, width), np.nan)
    rates, weights, saturated = [], [], []
    for at in order:
        frame, time = natural[at], float(times[at] or 0.0)
        gain = float(frame.gain_dn_per_e or 0.0)
        black = np.tile(frame.black_level, (-(-height // rows), -(-width // columns)))[:height, :width]
        rate = (frame.mosaic - black) / (gain * time)
        read_e = float(frame.read_noise_e or 0.0)
        # Read noise comes on top of a full well, so codes a little below white may be saturated too.
        full = frame.mosaic >= frame.white_level - 5 * gain * read_e
        start = np.where(np.isnan(start) & ~full, rate, start)
        rates.append(rate)
        saturated.append(full)
        variance = np.maximum(start, 0) * time + read_e**2 + 1 / (12 * gain**2)
        weights.append(np.where(full, 0.0, time**2 / np.nan_to_num(variance, nan=1.0)))
    total = np.sum(weights, axis=0)
    merged = np.sum([w * r for w, r in zip(weights, rates, strict=True)], axis=0) / np.where(total > 0, total, 1)
    shortest = natural[order[-1]]
    top = (shortest.white_level - shortest.black_level.mean()) / (
        float(shortest.gain_dn_per_e or 0.0) * float(times[order[-1]] or 0.0)
    )
    merged = np.where(np.all(saturated, axis=0), top, merged)
    codes = np.clip(np.floor(merged / top * 65535 + 0.5), 0, 65535).astype(np.uint16)
    return RawFrame(
        mosaic=codes,
        cfa=first.cfa,
        bit_depth=16,
        black_level=np.zeros((rows, columns)),
        white_level=65535,
        white_balance=first.white_balance,
        color_matrix=first.color_matrix,
        sensor=first.sensor,
    )
