"""The camera: from a scene to a RAW frame, and from a RAW frame to a picture.

* :class:`Scene`: what stands in front of the lens; :class:`Camera`: exposes and reads out;
* :class:`RawFrame`: the codes, natural or shuffled, to and from DNG; :func:`develop`: the image pipeline;
* :func:`measure_emva1288`: what a lab would measure, beside what was put in;
* :func:`sensor_preset`, :func:`list_presets`, :class:`SensorParams`: sensors as numbers with sources.
"""

from sensor.camera import Camera
from sensor.cfa import BAYER, MONO, QUAD_BAYER, X_TRANS
from sensor.develop import develop
from sensor.emva1288 import EmvaReport, measure_emva1288
from sensor.errors import CaptureError, DevelopError, PresetError, RawFileError, RawFrameError, SceneError
from sensor.params import SensorParams
from sensor.presets import list_presets, sensor_preset
from sensor.raw_frame import RawFrame
from sensor.scene import Scene
from sensor.srgb import srgb_decode, srgb_encode

__all__ = [
    "BAYER",
    "MONO",
    "QUAD_BAYER",
    "X_TRANS",
    "Camera",
    "CaptureError",
    "DevelopError",
    "EmvaReport",
    "PresetError",
    "RawFileError",
    "RawFrame",
    "RawFrameError",
    "Scene",
    "SceneError",
    "SensorParams",
    "develop",
    "list_presets",
    "measure_emva1288",
    "sensor_preset",
    "srgb_decode",
    "srgb_encode",
]
