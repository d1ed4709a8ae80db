"""The camera: from a scene to a RAW frame, and from a RAW frame to a picture.

* :class:`Scene`: what stands in front of the lens, such as a :func:`colour_chart` or a :func:`moving_scene`;
  :class:`Lens`; :class:`Camera`: exposes and reads out;
* :class:`RawFrame`: the codes, natural or shuffled, to and from DNG; :func:`develop`: the image pipeline;
* :func:`correct_defects`, :func:`correct_shading`, :func:`balance_grey_world` before it, :func:`sharpen` after it;
  :func:`unprocess`: the way back; :func:`merge_exposures`: high dynamic range;
* :class:`SwitchNetwork`: a multiplexer before the converters; :func:`compare_readouts`, :func:`readout_timeline`: what
  a keyed readout costs, and when it does what;
* :func:`measure_emva1288`: what a lab would measure, beside what was put in; :func:`calibrate`: figures from frames;
* :func:`sensor_preset`, :func:`list_presets`, :class:`SensorParams`: sensors as numbers with sources.
"""

from sensor.calibration import Calibration, calibrate
from sensor.camera import Camera
from sensor.cfa import BAYER, MONO, QUAD_BAYER, X_TRANS
from sensor.charts import colour_chart, flat_chart, ramp_chart, slanted_edge_chart, star_chart
from sensor.defect_correction import correct_defects
from sensor.develop import develop
from sensor.emva1288 import EmvaMeasurement, EmvaReport, measure_emva1288
from sensor.errors import CaptureError, DevelopError, PresetError, RawFileError, RawFrameError, SceneError
from sensor.exposure_merge import merge_exposures
from sensor.grey_world import balance_grey_world
from sensor.lens import Lens
from sensor.lens_shading import correct_shading
from sensor.moving_scene import moving_scene, read_video
from sensor.params import SensorParams
from sensor.presets import list_presets, sensor_preset
from sensor.raw_frame import RawFrame
from sensor.readout_cost import ReadoutCost, compare_readouts
from sensor.readout_timing import ReadoutTimeline, readout_row_order, readout_timeline
from sensor.scene import Scene
from sensor.sharpening import sharpen
from sensor.srgb import srgb_decode, srgb_encode
from sensor.switch_network import SwitchNetwork
from sensor.unprocess import unprocess

__all__ = [
    "BAYER",
    "MONO",
    "QUAD_BAYER",
    "X_TRANS",
    "Calibration",
    "Camera",
    "CaptureError",
    "DevelopError",
    "EmvaMeasurement",
    "EmvaReport",
    "Lens",
    "PresetError",
    "RawFileError",
    "RawFrame",
    "RawFrameError",
    "ReadoutCost",
    "ReadoutTimeline",
    "Scene",
    "SceneError",
    "SensorParams",
    "SwitchNetwork",
    "balance_grey_world",
    "calibrate",
    "colour_chart",
    "compare_readouts",
    "correct_defects",
    "correct_shading",
    "develop",
    "flat_chart",
    "list_presets",
    "measure_emva1288",
    "merge_exposures",
    "moving_scene",
    "ramp_chart",
    "read_video",
    "readout_row_order",
    "readout_timeline",
    "sensor_preset",
    "sharpen",
    "slanted_edge_chart",
    "srgb_decode",
    "srgb_encode",
    "star_chart",
    "unprocess",
]
