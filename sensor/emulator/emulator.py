"""A capture through an emulated circuit: the same physics as `sensor.Camera`, with everything in its time and place."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scrambler import Permutation, new_nonce
from sensor.benes import route, switch
from sensor.camera import Camera
from sensor.cfa import cfa_tile
from sensor.charge_to_codes import ChargeToCodes
from sensor.counter_rng import NoiseSource
from sensor.emulator.circuit import Circuit, circuit_of
from sensor.emulator.converters import ConverterBank
from sensor.emulator.events import EventTable
from sensor.emulator.link import Link
from sensor.emulator.sequencer import Schedule, random_access_schedule, row_schedule
from sensor.errors import CaptureError
from sensor.params import REFERENCE_EXPOSURE_S, SensorParams
from sensor.raw_frame import RawFrame
from sensor.readout_counts import benes_switches
from sensor.readout_timing import ReadoutTimeline, storage_wait_s
from sensor.scene import Scene
from sensor.spectral_scene import SpectralScene
from sensor.switch_network import SwitchNetwork


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What an emulated readout used.

    Attributes
    ----------
    row_selects, conversions, converter_cycles, link_bits : int
        Of this frame; converter cycles are clocks of the whole bank.
    latch_bits : int
        Two banks of line latches, which every column-parallel sensor has.
    memory_bits : int
        Line buffers or frame memory beyond those.
    switches : int
        2 x 2 switches of the network before the converters.
    """

    row_selects: int
    conversions: int
    converter_cycles: int
    link_bits: int
    latch_bits: int
    memory_bits: int
    switches: int


@dataclass(frozen=True, kw_only=True)
class Emulation:
    """One emulated frame.

    Attributes
    ----------
    frame : RawFrame
        As it came out of the link; bit for bit that of :meth:`sensor.Camera.capture`.
    circuit : str
        See :class:`sensor.emulator.circuit.Circuit`.
    timeline : ReadoutTimeline
        What each row did when.
    events : EventTable
        The same and the link, one line an event.
    counts : Counts
        What it took.
    row_time_s, frame_time_s : float
        From one row and from one frame to the next.
    """

    frame: RawFrame
    circuit: str
    timeline: ReadoutTimeline
    events: EventTable
    counts: Counts
    row_time_s: float
    frame_time_s: float


class ReadoutEmulator:
    """A camera's readout, emulated row by row.

    Rows are selected by a decoder, sampled twice (reset and signal), converted by a bank of column converters that
    count the clocks of a shared ramp or decide bit by bit, latched in one of two banks and scanned out of it in the
    order of the column address generator, kept in line buffers or a frame memory where the order needs one, dealt to
    the lanes and put together behind them. Before the converters, a Benes network is routed for every row and its
    switches move the voltages.

    At stage "post-adc" row noise and banding follow the sensor's row, at stage "pre-adc" the place in the readout, as
    for :class:`sensor.Camera`.

    Parameters
    ----------
    camera : Camera
        The camera whose readout to emulate.

    Examples
    --------
    >>> camera = Camera("imx477", seed=7)
    >>> emulation = ReadoutEmulator(camera).capture(Scene.from_array(np.full((4, 6), 0.2)))
    >>> bool((emulation.frame.mosaic == camera.capture(Scene.from_array(np.full((4, 6), 0.2))).mosaic).all())
    True
    >>> emulation.circuit, emulation.counts.conversions
    ('plain', 48)
    """

    def __init__(self, camera: Camera) -> None:
        if not isinstance(camera, Camera):
            raise CaptureError(f"an emulator needs a sensor.Camera, got {type(camera).__name__}")
        self.camera = camera

    def capture(
        self,
        scene: Scene | SpectralScene,
        exposure_s: float = REFERENCE_EXPOSURE_S,
        frame: int = 0,
        nonce: bytes | None = None,
    ) -> Emulation:
        """Expose the sensor and emulate its readout; parameters and errors as for :meth:`sensor.Camera.capture`."""
        camera = self.camera
        params, mux = camera.params, camera.multiplexer
        light, front, rear = camera.halves(scene, exposure_s, frame)
        if nonce is not None and mux is None:
            raise CaptureError("a nonce was given, but this camera has no multiplexer to use it")
        shape, period = light.shape, cfa_tile(params.cfa).shape
        order, used = None, nonce
        if mux is not None:
            used = new_nonce() if nonce is None else nonce
            order = mux.permutation(shape, used, unit=mux.unit_for(rgb=False), period=(period[0], period[1]))
        circuit = circuit_of(mux, order, shape, (period[0], period[1]), camera.stage)
        has_network = camera.stage == "pre-adc" and mux is not None and mux.pattern != "rows"
        network = camera.network if has_network else None
        if params.storage_leaks and camera.stage == "pre-adc":
            front = replace(front, wait_s=storage_wait_s(params, shape, order, network))

        run = _Run(params, rear, circuit, network, order, shape, camera)
        codes = run.read(front.frame_rows(light))
        schedule = run.schedule(exposure_s)
        captured = camera.natural_frame(codes, exposure_s)
        if mux is not None and used is not None:
            if nonce is not None:
                mux.count(nonce, codes if camera.stage == "pre-adc" else _natural(order, codes))
            captured = replace(
                captured, key_id=mux.key.id, nonce=used, pattern=mux.pattern, unit=mux.unit_for(rgb=False),
                stage=camera.stage, generator=mux.generator,
            )  # fmt: skip
        return Emulation(
            frame=captured,
            circuit=circuit.kind,
            timeline=schedule.timeline,
            events=schedule.events,
            counts=run.counts(),
            row_time_s=schedule.row_time_s,
            frame_time_s=schedule.frame_time_s,
        )


def _natural(order: Permutation | None, codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    assert order is not None
    natural: NDArray[np.uint16] = order.unshuffle(codes)
    return natural


class _Run:
    """The registers and memories of one frame's readout."""

    def __init__(
        self,
        params: SensorParams,
        rear: ChargeToCodes,
        circuit: Circuit,
        network: SwitchNetwork | None,
        order: Permutation | None,
        shape: tuple[int, int],
        camera: Camera,
    ) -> None:
        self._params, self._rear, self._circuit, self._network = params, rear, circuit, network
        self._height, self._width = shape
        self._shape = shape
        self._temperature_k = camera.temperature_k
        self._bank = ConverterBank(params, self._width, rear.seed, rear.gain)
        self._link = Link(params.link_lanes, params.bit_depth)
        # Places on the sensor, by slot: what the address generators deliver.
        source = np.arange(self._height * self._width) if order is None else order.source.astype(np.int64)
        self._row_of, self._column_of = (part.reshape(shape) for part in np.divmod(source, self._width))
        self._held = np.zeros(self._width, np.float32)
        self._row_selects = 0

    def read(self, charge_e: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Return the codes of the frame behind the link, from the charge of each photosite."""
        out = np.empty(self._shape, np.uint16)
        if self._circuit.buffered_rows:
            self._read_through_buffers(charge_e, out)
            return out
        latches = np.empty((2, self._width), np.uint16)
        for place in range(self._height):
            latch = latches[place % 2]
            latch[:] = self._convert(charge_e, place)
            # Before the converters the columns are in order already; behind them, the scan puts them there.
            scanned = latch[self._column_of[place]] if self._circuit.kind == "row-addressed" else latch
            out[place] = self._deliver(scanned)
        return out

    def _read_through_buffers(self, charge_e: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
        deep = self._circuit.buffered_rows
        banks = np.zeros((self._circuit.banks, min(deep, self._height), self._width), np.uint16)
        for first in range(0, self._height, deep):
            bank = banks[first // deep % self._circuit.banks]
            end = min(first + deep, self._height)
            for place in range(first, end):
                bank[place - first] = self._convert(charge_e, place)
            # From here on the other bank fills, while this one is read in the order of the key.
            for place in range(first, end):
                out[place] = self._deliver(bank[self._row_of[place] - first, self._column_of[place]])

    def _convert(self, charge_e: NDArray[np.float32], place: int) -> NDArray[np.uint16]:
        """Select what is read at a place of the readout, sample it and return its codes in the order of the columns."""
        kind = self._circuit.kind
        rows, columns = self._row_of[place], self._column_of[place]
        if kind == "random access":
            self._row_selects += self._width
            sampled = charge_e[rows, columns]
        else:
            self._row_selects += 1
            sampled = charge_e[self._circuit.rows[place]]
        if kind == "switch network":
            sampled = switch(sampled, route(columns))
        at_columns = sampled[None]
        if self._network is not None:
            at_columns = self._network.settled(at_columns, self._held)
            self._held = at_columns[0]
            at_columns = self._network.sampled(
                at_columns,
                NoiseSource(seed=self._rear.seed, frame=self._rear.frame, origin=(place, 0)),
                temperature_k=self._temperature_k,
                conversion_gain_v_per_e=self._params.conversion_gain_v_per_e,
            )
        # Row noise and banding: of the sensor's row where codes move, of the place in time where voltages do.
        row = int(self._circuit.rows[place]) if kind == "row-addressed" else place
        return self._bank.convert(self._rear.at_converters(at_columns, row)[0])

    def _deliver(self, codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return self._link.receive(self._link.send(codes), self._width)

    def schedule(self, exposure_s: float) -> Schedule:
        """Return when everything of this readout happens."""
        if self._circuit.kind == "random access":
            return random_access_schedule(self._params, self._shape, exposure_s, self._bank.cycles_a_conversion)
        return row_schedule(
            self._params,
            self._circuit,
            self._shape,
            exposure_s,
            cycles_a_conversion=self._bank.cycles_a_conversion,
            closed_s=0.0 if self._network is None else self._network.closed_s(self._width, self._params.bit_depth),
        )

    def counts(self) -> Counts:
        """Return what was used."""
        bits = self._params.bit_depth
        return Counts(
            row_selects=self._row_selects,
            conversions=self._bank.conversions,
            converter_cycles=self._bank.cycles,
            link_bits=self._link.sent_bits,
            latch_bits=2 * self._width * bits,
            memory_bits=self._circuit.banks * self._circuit.buffered_rows * self._width * bits,
            switches=benes_switches(self._width) if self._circuit.kind == "switch network" else 0,
        )
