"""Synthesizable Verilog of keyed readouts, with test benches and vectors.

* :func:`export_rtl`: a folder with everything; :class:`Design`: what is exported; :func:`vectors_of`: one frame's keys,
  tables and addresses; :func:`benes_module`: a switch network.
"""

from sensor.rtl.benes_module import benes_bench, benes_module
from sensor.rtl.design import Design, Vectors, vectors_of
from sensor.rtl.export import export_rtl, write_vectors

__all__ = ["Design", "Vectors", "benes_bench", "benes_module", "export_rtl", "vectors_of", "write_vectors"]
