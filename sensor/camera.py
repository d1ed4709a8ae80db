"""A camera: a sensor with a seed, a temperature, a gain and, if it has one, a keyed readout."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer
from sensor.adc import convert
from sensor.bands import for_each_band
from sensor.cfa import cfa_tile, sample_mosaic
from sensor.colour import camera_response
from sensor.counter_rng import NoiseSource, check_integer
from sensor.dark_current import dark_current
from sensor.dsnu import dsnu
from sensor.errors import CaptureError
from sensor.full_well import full_well
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.presets import sensor_preset
from sensor.prnu import prnu
from sensor.raw_frame import RawFrame
from sensor.read_noise import read_noise
from sensor.scene import Scene
from sensor.shot_noise import shot_noise


class Camera:
    """One individual camera.

    Parameters
    ----------
    sensor : str, Path or SensorParams
        A preset's name, the path of a preset file, or the numbers themselves.
    multiplexer : Multiplexer, optional
        Keyed readout behind the converter. Without it, frames are natural.
    seed : int
        What makes this camera differ from the next of its kind, 0 to 2**64 - 1. PRNU and DSNU depend on it alone,
        temporal noise on it and the frame number.
    shape : None, "native" or tuple of int
        Size of the frames. None: the scene's size, cut to whole colour-filter periods. ``"native"``: the sensor's
        own size. (H, W): that size. In the last two cases the scene is laid on the sensor by :meth:`Scene.fit`.
    temperature_k : float, optional
        Sensor temperature; by default the one the dark current was measured at.
    gain : float
        Amplifier gain, as a multiple of base gain.

    Examples
    --------
    >>> camera = Camera("imx477", seed=7)
    >>> camera.capture(Scene.from_array(np.full((31, 45), 0.2)))
    RawFrame(30 x 44 RGGB, 12 bit, imx477, natural)
    """

    def __init__(
        self,
        sensor: str | Path | SensorParams = "imx477",
        multiplexer: Multiplexer | None = None,
        seed: int = 0,
        shape: str | tuple[int, int] | None = None,
        temperature_k: float | None = None,
        gain: float = 1.0,
    ) -> None:
        self.params = sensor if isinstance(sensor, SensorParams) else sensor_preset(sensor)
        if multiplexer is not None and not isinstance(multiplexer, Multiplexer):
            raise CaptureError(f"multiplexer must be a scrambler.Multiplexer, got {type(multiplexer).__name__}")
        check_integer("seed", seed, 64)
        self.multiplexer = multiplexer
        self.seed = int(seed)
        self.shape = self._checked_shape(shape)
        self.temperature_k = self.params.dark_reference_k if temperature_k is None else temperature_k
        _check_range("temperature_k", self.temperature_k, 1, 500)
        _check_range("gain", gain, 1e-3, 1e4)
        self.gain = gain

    def __repr__(self) -> str:
        readout = "" if self.multiplexer is None else f", {self.multiplexer!r}"
        return f"Camera({self.params.name!r}{readout}, seed={self.seed}, gain={self.gain:g})"

    def _checked_shape(self, shape: str | tuple[int, int] | None) -> tuple[int, int] | None:
        if shape is None:
            return None
        if shape == "native":
            return self.params.height_px, self.params.width_px
        rows, columns = cfa_tile(self.params.cfa).shape
        if isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(side, int) for side in shape):
            height, width = shape
            if height > 0 and width > 0 and height % rows == 0 and width % columns == 0:
                return height, width
        raise CaptureError(
            f'shape must be None, "native" or (height, width) in whole colour-filter periods of {rows} x {columns},'
            f" got {shape!r}"
        )

    def capture(
        self, scene: Scene, exposure_s: float = REFERENCE_EXPOSURE_S, frame: int = 0, nonce: bytes | None = None
    ) -> RawFrame:
        """Expose the sensor to a scene and read it out.

        Light takes this way: camera colours and colour filter, exposure, PRNU, dark current, shot noise, full well,
        DSNU, read noise, gain, black level and converter, multiplexer. The multiplexer moves finished codes, so
        ``frame.unshuffle(key)`` is bit for bit the frame of the same camera without one.

        Parameters
        ----------
        scene : Scene
            What is in front of the lens.
        exposure_s : float
            Exposure time; 0.01 s makes a scene value of 1.0 saturate.
        frame : int
            Frame number, 0 to 2**32 - 1. Same camera, scene, exposure and number: same bits, on any number of threads.
        nonce : bytes, optional
            The shuffle's 16 public bytes; drawn anew by default. For tests and studies only.

        Returns
        -------
        RawFrame

        Raises
        ------
        CaptureError
            For a scene smaller than one colour-filter period, an impossible exposure, or a nonce without multiplexer.
        """
        if not isinstance(scene, Scene):
            raise CaptureError(f"capture needs a sensor.Scene, got {type(scene).__name__}; see Scene.from_array")
        _check_range("exposure_s", exposure_s, 0, 1e5)
        check_integer("frame", frame, 32)
        if nonce is not None and self.multiplexer is None:
            raise CaptureError("a nonce was given, but this camera has no multiplexer to use it")
        natural = self._natural(self._codes(scene, exposure_s, frame), exposure_s)
        return natural if self.multiplexer is None else natural.shuffle(self.multiplexer, nonce)

    def _codes(self, scene: Scene, exposure_s: float, frame: int) -> NDArray[np.uint16]:
        """Return the codes in natural order."""
        params = self.params
        tile = cfa_tile(params.cfa)
        rows, columns = tile.shape
        light = scene.cut(rows, columns) if self.shape is None else scene.fit(self.shape)
        height, width = light.shape
        if height * width == 0:
            raise CaptureError(f"the scene is {scene.shape}, smaller than one colour-filter period of {tile.shape}")
        response = camera_response(params.color_matrix, params.white_balance)
        electrons = np.float32(params.saturation_e * exposure_s / REFERENCE_EXPOSURE_S)
        dark_e = np.float32(
            dark_current(
                params.dark_current_e_per_s,
                temperature_k=self.temperature_k,
                reference_k=params.dark_reference_k,
                doubling_k=params.dark_doubling_k,
                exposure_s=exposure_s,
            )
        )
        codes = np.empty((height, width), np.uint16)

        def expose(first: int, end: int) -> None:
            noise = NoiseSource(seed=self.seed, frame=frame, origin=(first, 0))
            mean_e = prnu(sample_mosaic(light.rows(first, end), tile, response) * electrons, params.prnu_percent, noise)
            mean_e = mean_e + dark_e
            charge_e = shot_noise(mean_e, noise) if params.shot_noise else mean_e
            charge_e = full_well(charge_e, params.full_well_e)
            charge_e = dsnu(charge_e, params.dsnu_e, noise)
            charge_e = read_noise(charge_e, params.total_read_noise_e(self.gain), noise)
            codes[first:end] = convert(
                charge_e,
                gain_dn_per_e=params.gain_dn_per_e * self.gain,
                black_level_dn=params.black_level_dn,
                bit_depth=params.bit_depth,
            )

        for_each_band(height, width, rows, expose)
        codes.flags.writeable = False
        return codes

    def _natural(self, codes: NDArray[np.uint16], exposure_s: float) -> RawFrame:
        params = self.params
        return RawFrame(
            mosaic=codes,
            cfa=params.cfa,
            bit_depth=params.bit_depth,
            black_level=np.full(cfa_tile(params.cfa).shape, params.black_level_dn),
            white_level=params.white_level_dn(self.gain),
            white_balance=np.array(params.white_balance),
            color_matrix=np.array(params.color_matrix),
            exposure_s=exposure_s,
            gain_dn_per_e=params.gain_dn_per_e * self.gain,
            read_noise_e=params.total_read_noise_e(self.gain),
            sensor=params.name,
        )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    # NaN fails the comparison, so it is refused too.
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value <= high:
        raise CaptureError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
