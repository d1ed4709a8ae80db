"""How all figures look, and how they become files."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError
from scrambler.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of lines: blue, vermilion, green, purple, orange, sky, black (Okabe and Ito, Color Universal Design)."""

DASHES = ("-", "--", ":", "-.")
CHANNEL_COLOURS = (PALETTE[1], PALETTE[2], PALETTE[0])
"""For red, green and blue, which colour-blind readers could not tell apart."""

COLOUR_MAP = "cividis"
PANEL_WIDTH_IN = 3.6
_FONT = "DejaVu Sans"
_DPI = 110
_MOST_SIDE_PX = 1600


class FigureError(ShuffleCamError):
    """A figure that cannot be drawn from what was given."""


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style of all figures inside the block, and nothing outside it."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": _FONT,
                # A file name may hold dollar signs.
                "text.parse_math": False,
                # Letters as outlines: an SVG looks the same without the font. TrueType in PDF, as journals ask.
                "svg.fonttype": "path",
                "pdf.fonttype": 42,
                # Else two runs differ in the names inside the file.
                "svg.hashsalt": "shufflecam",
                "axes.spines.top": False,
                "axes.spines.right": False,
            }
        )
        yield


def new_figure(width_in: float, height_in: float) -> "Figure":
    """Return an empty figure; call it inside :func:`house_style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def check_format(path: Path) -> None:
    """Refuse a file name that does not end as a figure.

    Raises
    ------
    FigureError
        Naming the file.
    """
    if path.suffix.lower() not in FORMATS:
        raise FigureError(f"{path}: a figure is PNG, PDF or SVG: give a name that ends in .png, .pdf or .svg")


def save_figure(path: str | Path, figure: "Figure", dpi: int = _DPI) -> None:
    """Write a figure as PNG, PDF or SVG, atomically; the same thing drawn again gives the same bytes.

    Parameters
    ----------
    path : path
        Its ending says the format.
    figure : matplotlib Figure
    dpi : int
        Pixels per inch of a PNG, and of pictures inside a PDF or SVG.

    Raises
    ------
    FigureError
        If the ending is none of :data:`FORMATS`.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    check_format(path)
    # Without these the file would hold the time it was made.
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower())
    with house_style(), atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=dpi, metadata=metadata)


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_FONT)).get_charmap())


def drawable(text: str, most: int = 48) -> str:
    r"""Return a text as the font can draw it: missing characters as escapes, and the middle of a long one left out.

    >>> drawable("a" + chr(10) + "b"), drawable("caf\u00e9"), drawable("x" * 99, 9)
    ('a\\nb', 'caf\xe9', 'xxxx\u2026xxxx')
    """
    # A line break has a glyph in some fonts, and is none.
    known = "".join(c if c.isprintable() and ord(c) in _letters() else ascii(c)[1:-1] for c in text)
    if len(known) <= most:
        return known
    return f"{known[: most // 2]}\N{HORIZONTAL ELLIPSIS}{known[len(known) - (most - 1) // 2 :]}"


def set_title(axis: "Axes", text: str) -> None:
    """Put a title over a picture, each of its lines as the font can draw it."""
    axis.set_title("\n".join(drawable(line) for line in text.split("\n")), fontsize=10)


def reduced(picture: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th row and column of a large picture; averages would turn a shuffled one grey.

    >>> import numpy as np
    >>> reduced(np.zeros((10, 4000))).shape
    (4, 1334)
    """
    step = -(-max(picture.shape[:2]) // _MOST_SIDE_PX)
    return picture[::step, ::step]
