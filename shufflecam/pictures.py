"""Pictures that the program writes."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError
from scrambler.files import write_atomically


def write_png(path: Path, picture: NDArray[np.floating]) -> None:
    """Write a float RGB picture (H, W, 3) in [0, 1] as an 8-bit PNG, atomically."""
    codes = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    done, encoded = cv2.imencode(".png", codes[:, :, ::-1])
    if not done:
        raise ShuffleCamError(f"{path}: the picture could not be encoded as PNG")
    write_atomically(path, encoded.tobytes())
