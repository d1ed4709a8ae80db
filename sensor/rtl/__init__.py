"""Synthesizable Verilog of keyed readouts, with test benches and vectors.

* :func:`export_rtl`: a folder with everything; :class:`Design`: what is exported, in :class:`Zone` by zone;
  :func:`vectors_of`, :func:`public_vectors`: one frame's keys, tables and addresses; :func:`write_vectors`,
  :func:`write_codes`: the same, and a frame of codes, for the test benches; :func:`benes_module`: a switch network.
"""

from sensor.rtl.benes_module import benes_bench, benes_module
from sensor.rtl.design import Design, Zone
from sensor.rtl.export import export_rtl, public_vectors, write_codes, write_vectors
from sensor.rtl.vectors import Vectors, vectors_of

__all__ = [
    "Design",
    "Vectors",
    "Zone",
    "benes_bench",
    "benes_module",
    "export_rtl",
    "public_vectors",
    "vectors_of",
    "write_codes",
    "write_vectors",
]
