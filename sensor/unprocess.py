"""From a finished picture back to what a sensor would have delivered: the developer in reverse."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from sensor.cfa import cfa_tile, sample_mosaic
from sensor.colour import camera_response
from sensor.errors import SceneError
from sensor.params import SensorParams
from sensor.presets import sensor_preset
from sensor.raw_frame import RawFrame
from sensor.scene import Scene
from sensor.srgb import srgb_decode


def unprocess(picture: ArrayLike, sensor: str | Path | SensorParams = "imx477", *, tone: str = "srgb") -> RawFrame:
    r"""Return the natural RAW frame that :func:`sensor.develop` turns into this picture.

    .. math:: q_n = \Big\lfloor b + (w - b)\,\mathrm{clip}\Big(\sum_k R_{c(n), k}\, t^{-1}(x_{n, k}),\; 0,\; 1\Big)
              + \tfrac12 \Big\rfloor, \qquad R = \mathrm{diag}(1 / g)\,M^{-1}

    Inverse tone curve, inverse colour matrix, inverse white balance, colour filter array, black and white level; no
    noise. What a colour filter does not see is lost, and demosaicing guesses it again: flat areas come back within
    half a code, edges nearly. Source of the idea: T. Brooks and others, "Unprocessing images for learned raw
    denoising", CVPR 2019.

    Parameters
    ----------
    picture : array_like of float, shape (H, W, 3) or (H, W)
        In [0, 1]; cut to whole periods of the colour filter.
    sensor : str, Path or SensorParams
        Preset name, preset file or parameters: whose colours, filter array, levels and resolution the frame has.
    tone : str
        ``"srgb"`` when the picture is encoded, ``"linear"`` when it is linear light.

    Returns
    -------
    RawFrame

    Raises
    ------
    SceneError
        For a picture of another kind or range, or an unknown tone.

    Examples
    --------
    >>> unprocess(np.full((6, 8, 3), 0.5))
    RawFrame(6 x 8 RGGB, 12 bit, imx477, natural)
    """
    params = sensor if isinstance(sensor, SensorParams) else sensor_preset(sensor)
    values = np.asarray(picture)
    if tone not in ("srgb", "linear"):
        raise SceneError(f"tone must be srgb or linear, got {tone!r}")
    if np.issubdtype(values.dtype, np.floating) and values.size and not (values.min() >= 0 and values.max() <= 1):
        raise SceneError("the values of a picture to unprocess lie between 0 and 1")
    tile = cfa_tile(params.cfa)
    scene = Scene.from_array(srgb_decode(values) if tone == "srgb" and values.dtype.kind == "f" else values)
    scene = scene.cut(*tile.shape)
    if 0 in scene.shape:
        raise SceneError(f"the picture is {values.shape}, smaller than one colour-filter period of {tile.shape}")
    response = camera_response(params.color_matrix, params.white_balance)
    seen = sample_mosaic(scene.light(0, scene.shape[0]), tile, response).astype(np.float64)
    white = params.white_level_dn()
    codes = np.floor(params.black_level_dn + (white - params.black_level_dn) * np.minimum(seen, 1) + 0.5)
    return RawFrame(
        mosaic=codes.astype(np.uint16),
        cfa=params.cfa,
        bit_depth=params.bit_depth,
        black_level=np.full(tile.shape, params.black_level_dn),
        white_level=white,
        white_balance=np.array(params.white_balance),
        color_matrix=np.array(params.color_matrix),
        sensor=params.name,
    )
