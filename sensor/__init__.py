"""The camera: from a scene to a RAW frame, and from a RAW frame to a picture.

* :class:`Scene`: what stands in front of the lens, such as a :func:`colour_chart` or a :func:`moving_scene`;
  :class:`SpectralScene`: the same by wavelength, :func:`illuminant`: its lamp, :func:`relight`: another lamp;
  :class:`Lens`; :class:`Camera`: exposes and reads out;
* :class:`RawFrame`: the codes, natural or shuffled, to and from DNG; :func:`develop`: the image pipeline;
* :func:`correct_defects`, :func:`correct_shading`, :func:`balance_grey_world` before it, :func:`resize`,
  :func:`sharpen` after it; :func:`unprocess`: the way back; :func:`merge_exposures`: high dynamic range;
* :class:`SwitchNetwork`: a multiplexer before the converters; :func:`compare_readouts`, :func:`readout_timeline`: what
  a keyed readout costs, and when it does what;
* :func:`measure_emva1288`: what a lab would measure, beside what was put in; :func:`calibrate`: figures from frames,
  such as those of :func:`calibration_stacks`;
* :func:`sensor_preset`, :func:`list_presets`, :class:`SensorParams`: sensors as numbers with sources;
  :class:`SpectralQe`: their colours by wavelength; :func:`copy_preset`, :func:`write_preset`: files of one's own.
"""

from sensor.calibration import Calibration, calibrate
from sensor.camera import Camera
from sensor.cfa import BAYER, MONO, QUAD_BAYER, X_TRANS
from sensor.charts import CHARTS, colour_chart, flat_chart, ramp_chart, slanted_edge_chart, star_chart
from sensor.defect_correction import correct_defects
from sensor.develop import develop
from sensor.emva1288 import EmvaMeasurement, EmvaReport, measure_emva1288
from sensor.errors import CaptureError, DevelopError, PresetError, RawFileError, RawFrameError, SceneError
from sensor.exposure_merge import merge_exposures
from sensor.frame_stacks import FrameStack, calibration_stacks, read_frame_stacks
from sensor.grey_world import balance_grey_world
from sensor.illuminant import Illuminant, illuminant
from sensor.lens import Lens
from sensor.lens_shading import correct_shading
from sensor.moving_scene import moving_scene, read_video
from sensor.params import SensorParams
from sensor.point_spread import read_psf
from sensor.preset_file import write_preset
from sensor.presets import copy_preset, list_presets, sensor_preset
from sensor.raw_frame import RawFrame
from sensor.readout_cost import ReadoutCost, compare_readouts
from sensor.readout_timing import ReadoutTimeline, readout_row_order, readout_timeline
from sensor.resizing import resize
from sensor.scene import Scene
from sensor.sharpening import sharpen
from sensor.spectral_qe import SpectralQe
from sensor.spectral_scene import SpectralScene, relight
from sensor.srgb import srgb_decode, srgb_encode
from sensor.switch_network import SwitchNetwork
from sensor.unprocess import unprocess

__all__ = [
    "BAYER",
    "CHARTS",
    "MONO",
    "QUAD_BAYER",
    "X_TRANS",
    "Calibration",
    "Camera",
    "CaptureError",
    "DevelopError",
    "EmvaMeasurement",
    "EmvaReport",
    "FrameStack",
    "Illuminant",
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
    "SpectralQe",
    "SpectralScene",
    "SwitchNetwork",
    "balance_grey_world",
    "calibrate",
    "calibration_stacks",
    "colour_chart",
    "compare_readouts",
    "copy_preset",
    "correct_defects",
    "correct_shading",
    "develop",
    "flat_chart",
    "illuminant",
    "list_presets",
    "measure_emva1288",
    "merge_exposures",
    "moving_scene",
    "ramp_chart",
    "read_frame_stacks",
    "read_psf",
    "read_video",
    "readout_row_order",
    "readout_timeline",
    "relight",
    "resize",
    "sensor_preset",
    "sharpen",
    "slanted_edge_chart",
    "srgb_decode",
    "srgb_encode",
    "star_chart",
    "unprocess",
    "write_preset",
]
