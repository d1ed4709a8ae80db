"""The readout as a device: every row, sample, conversion and bit in its place and at its time.

* :class:`ReadoutEmulator`: captures through the emulated circuit, bit for bit what `sensor.Camera` captures;
* :class:`Emulation`: the frame, its timeline, the counts and the events; :func:`write_vcd`: the same for wave viewers.
"""

from sensor.emulator.emulator import Emulation, ReadoutEmulator
from sensor.emulator.events import EventTable
from sensor.emulator.vcd import write_vcd

__all__ = ["Emulation", "EventTable", "ReadoutEmulator", "write_vcd"]
