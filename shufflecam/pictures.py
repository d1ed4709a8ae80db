"""Pictures in and out of the program."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError


def write_png(path: Path, picture: NDArray[np.floating]) -> None:
    """Write a float RGB picture (H, W, 3) in [0, 1] as an 8-bit PNG, atomically."""
    codes = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    done, encoded = cv2.imencode(".png", codes[:, :, ::-1])
    if not done:
        raise ShuffleCamError(f"{path}: the picture could not be encoded as PNG")
    write_atomically(path, encoded.tobytes())


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its folder, then rename it: nobody ever sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
