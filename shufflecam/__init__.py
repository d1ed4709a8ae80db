"""The program: command line, the chain from capture to label, figures."""

import os

__version__ = "0.1.0"

MOST_PX = 1 << 28
"""Largest picture that the program reads, 268 megapixels, as for RAW files: memory stays bounded for any input."""

# OpenCV reads it when it loads, and then refuses larger pictures by their headers, before it takes memory for them.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PX))
