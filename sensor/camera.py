"""A camera: a sensor with a seed, a temperature, a gain and, if it has one, a keyed readout."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer, new_nonce
from sensor.bands import for_each_band
from sensor.cfa import cfa_tile
from sensor.charge_to_codes import ChargeToCodes
from sensor.counter_rng import Stream, check_integer
from sensor.errors import CaptureError
from sensor.fixed_maps import FixedMaps
from sensor.light_to_charge import LightToCharge
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.presets import sensor_preset
from sensor.raw_frame import STAGES, RawFrame
from sensor.readout_timing import storage_wait_s
from sensor.scene import Scene
from sensor.spectral_scene import SpectralScene
from sensor.switch_network import SwitchNetwork
from sensor.switched_readout import switched_codes

SAMPLERS = ("fast", "exact")


class Camera:
    """One individual camera.

    Parameters
    ----------
    sensor : str, Path or SensorParams
        A preset's name, the path of a preset file, or the numbers themselves.
    multiplexer : Multiplexer, optional
        Keyed readout. Without it, frames are natural.
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
    stage : str
        Where the multiplexer sits. ``"post-adc"``: it moves finished codes, and unshuffling gives the natural frame
        back bit for bit. ``"pre-adc"``: it moves voltages, so a photosite meets the converter of its slot's column at
        its slot's time, and the switches leave their own marks.
    network : SwitchNetwork, optional
        The switches of a multiplexer before the converters; with usual figures by default. Row order alone
        (pattern "rows") needs none, and has none.
    sampler : str
        How electrons and Gaussian read noise are drawn. ``"fast"``: both from a word and a half, in single precision;
        counts are within 3e-5 of Poisson (total variation, worst at 6 electrons), and no test of tens of millions of
        draws tells them from it. ``"exact"``: a word each, in double precision, several times slower: the
        reference, for studies. The distributions are the same, the bits are not. See :mod:`sensor.fast_draws`.

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
        stage: str = "post-adc",
        network: SwitchNetwork | None = None,
        sampler: str = "fast",
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
        if stage not in STAGES:
            raise CaptureError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
        if stage == "pre-adc" and multiplexer is None:
            raise CaptureError('stage="pre-adc" says where the multiplexer sits, but this camera has none')
        if network is not None and (stage != "pre-adc" or not isinstance(network, SwitchNetwork)):
            raise CaptureError('network must be a sensor.SwitchNetwork, and belongs to stage="pre-adc"')
        self.stage = stage
        self.network = SwitchNetwork() if network is None else network
        if sampler not in SAMPLERS:
            raise CaptureError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
        self.sampler = sampler
        self._maps: FixedMaps | None = None
        self._like: tuple[tuple[float, float], RawFrame] | None = None

    def __repr__(self) -> str:
        readout = "" if self.multiplexer is None else f", {self.multiplexer!r}, stage={self.stage!r}"
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
        self,
        scene: Scene | SpectralScene,
        exposure_s: float = REFERENCE_EXPOSURE_S,
        frame: int = 0,
        nonce: bytes | None = None,
    ) -> RawFrame:
        """Expose the sensor to a scene and read it out.

        Light takes this way: camera colours and colour filter, exposure, PRNU, dark current, hot pixels and storage
        leakage, shot noise, full well and blooming, defects, DSNU, reset, telegraph and read noise; then column
        pattern, row and banding noise, gain, black level and converter. Behind all that a multiplexer at stage
        "post-adc" moves finished codes, so ``frame.unshuffle(key)`` is bit for bit the frame of the same camera
        without one. At stage "pre-adc" it sits before the column pattern.

        Parameters
        ----------
        scene : Scene or SpectralScene
            What is in front of the lens. Spectra need a sensor with a ``spectral_qe``.
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
        SceneError
            For spectra on a sensor without a spectral quantum efficiency.
        """
        light, front, rear = self.halves(scene, exposure_s, frame)
        if nonce is not None and self.multiplexer is None:
            raise CaptureError("a nonce was given, but this camera has no multiplexer to use it")
        if self.multiplexer is None:
            return self.natural_frame(self._codes(light, front, rear), exposure_s)
        if self.stage == "post-adc":
            return self.natural_frame(self._codes(light, front, rear), exposure_s).shuffle(self.multiplexer, nonce)
        return self._switched(light, front, rear, self.multiplexer, nonce)

    def halves(
        self, scene: Scene | SpectralScene, exposure_s: float, frame: int
    ) -> tuple[Scene, LightToCharge, ChargeToCodes]:
        """Return the light on the sensor, what makes charge of it, and what makes codes of that.

        Parameters and errors as for :meth:`capture`.
        """
        if not isinstance(scene, Scene | SpectralScene):
            raise CaptureError(f"capture needs a sensor.Scene, got {type(scene).__name__}; see Scene.from_array")
        _check_range("exposure_s", exposure_s, 0, 1e5)
        check_integer("frame", frame, 32)
        light = self._on_sensor(scene)
        front = LightToCharge(
            params=self.params,
            seed=self.seed,
            frame=frame,
            temperature_k=self.temperature_k,
            gain=self.gain,
            exposure_s=exposure_s,
            sampler=self.sampler,
            maps=self._fixed_maps(light.shape),
            wait_s=storage_wait_s(self.params, light.shape) if self.params.storage_leaks else None,
        )
        return light, front, ChargeToCodes(params=self.params, seed=self.seed, frame=frame, gain=self.gain)

    def _fixed_maps(self, shape: tuple[int, int]) -> FixedMaps:
        """Return the maps of the size last used."""
        if self._maps is None or self._maps.shape != shape:
            self._maps = FixedMaps(shape)
        spreads = {Stream.PRNU: self.params.prnu_percent, Stream.DSNU: self.params.dsnu_e}
        self._maps.prepare(*(stream for stream, spread in spreads.items() if spread != 0))
        return self._maps

    def _on_sensor(self, scene: Scene | SpectralScene) -> Scene:
        if isinstance(scene, SpectralScene):
            scene = scene.seen_by(self.params)
        rows, columns = cfa_tile(self.params.cfa).shape
        light = scene.cut(rows, columns) if self.shape is None else scene.fit(self.shape)
        if 0 in light.shape:
            raise CaptureError(f"the scene is {scene.shape}, smaller than one colour-filter period of {rows, columns}")
        return light

    def _codes(self, light: Scene, front: LightToCharge, rear: ChargeToCodes) -> NDArray[np.uint16]:
        """Return the codes in natural order."""
        height, width = light.shape
        codes = np.empty((height, width), np.uint16)
        step, linear = cfa_tile(self.params.cfa).shape[0], rear.linear
        if front.is_usual and linear is not None:

            def shoot(first: int, end: int) -> None:
                front.expose(light, first, codes[first:end], linear)

            for_each_band(height, width, step, shoot, band_px=None)
            codes.flags.writeable = False
            return codes
        # Only charge that spills between rows needs the whole frame at once.
        spilt = front.frame_rows(light) if self.params.blooming_fraction != 0 else None

        def expose(first: int, end: int) -> None:
            charge_e = front.rows(light, first, end) if spilt is None else spilt[first:end]
            rear.rows(charge_e, first, codes[first:end])

        for_each_band(height, width, step, expose)
        codes.flags.writeable = False
        return codes

    def _switched(
        self, light: Scene, front: LightToCharge, rear: ChargeToCodes, mux: Multiplexer, nonce: bytes | None
    ) -> RawFrame:
        """Return the frame of a multiplexer that moves voltages."""
        rows, columns = cfa_tile(self.params.cfa).shape
        given, nonce = nonce, new_nonce() if nonce is None else nonce
        unit = mux.unit_for(rgb=False)
        order = mux.permutation(light.shape, nonce, unit=unit, period=(rows, columns))
        network = None if mux.pattern == "rows" else self.network
        if self.params.storage_leaks:
            front = replace(front, wait_s=storage_wait_s(self.params, light.shape, order, network))
        source = order.source
        # Before the charge takes its place: a table of cells may stand behind it.
        del order
        codes = switched_codes(light, front, rear, source, network)
        codes.flags.writeable = False
        if given is not None:
            mux.count(nonce, codes)
        natural = self.natural_frame(codes, front.exposure_s)
        return replace(
            natural, key_id=mux.key.id, nonce=nonce, pattern=mux.pattern, unit=unit, stage="pre-adc",
            generator=mux.generator,
        )  # fmt: skip

    def natural_frame(self, codes: NDArray[np.uint16], exposure_s: float) -> RawFrame:
        """Return a frame of this camera with codes in natural order."""
        like, settings = self._like, (exposure_s, self.gain)
        if like is None or like[0] != settings:
            like = self._like = settings, self._empty_frame(exposure_s)
        return like[1].with_codes(codes)

    def _empty_frame(self, exposure_s: float) -> RawFrame:
        """Return what all frames of this exposure have in common."""
        params = self.params
        return RawFrame(
            mosaic=np.zeros((1, 1), np.uint16),
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
