"""A stream of pictures through the camera: captured, shuffled, and labelled with and without the key.

* :func:`pictures_of`: pictures of a camera, a video or a folder; :class:`LiveCamera`: what becomes of each, as
  :class:`LiveFrame`; :func:`drawn`: that as one picture; :class:`Rate`: frames per second;
* :class:`VideoFile`, :class:`LivePage`: where these pictures go.
"""

from shufflecam.live.camera import LiveCamera, LiveFrame, Rate, drawn
from shufflecam.live.page import LivePage
from shufflecam.live.stream import LiveError, pictures_of
from shufflecam.live.video_file import VideoFile

__all__ = ["LiveCamera", "LiveError", "LiveFrame", "LivePage", "Rate", "VideoFile", "drawn", "pictures_of"]
