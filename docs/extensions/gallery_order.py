"""What the gallery's settings call by name: the order of the examples, and the folder that they are given."""

import tempfile
from pathlib import Path

FIRST = ("plot_capture_to_label.py", "plot_image_folder.py", "plot_convert_your_model.py")


def order(name: str) -> tuple[int, str]:
    """Sort a few examples to the front, the others by name."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def arguments(gallery_conf: dict[str, object], script_vars: dict[str, object]) -> list[str]:
    """Return the scripts' arguments: a folder for the pictures; the pages show the open figures instead."""
    folder = Path(tempfile.gettempdir()) / "shufflecam-gallery"
    folder.mkdir(exist_ok=True)
    return [str(folder)]
