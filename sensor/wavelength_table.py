"""Tables over wavelength as text files: the first column in nm, one further column for each curve."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor.errors import SceneError

_MAX_BYTES = 1 << 22


def read_wavelength_table(path: str | Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Read a table of curves over wavelength.

    Columns are set off by commas, semicolons, tabs or spaces; lines that begin with ``#`` are left out. The first
    line may name the columns; without names they are called ``"1"``, ``"2"``, ...

    Parameters
    ----------
    path : str or Path
        A text file, such as ``wavelength_nm,red,green,blue``.

    Returns
    -------
    wavelength_nm : ndarray of float64, shape (L,)
    curves : dict of str to ndarray of float64, shape (L,)

    Raises
    ------
    SceneError
        Naming the file and what is wrong with it.
    """
    try:
        where = Path(path)
        if where.stat().st_size > _MAX_BYTES:
            raise SceneError(f"{path}: a table of wavelengths is a small text file, this one is over 4 MB")
        text = where.read_text("utf-8-sig")
    except OSError as error:
        raise SceneError(f"{path}: cannot read the table of wavelengths ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SceneError(f"{path}: a table of wavelengths is UTF-8 text, this file is not") from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    mark = next((mark for mark in ",;\t" if lines and mark in lines[0]), None)
    rows = [line.split() if mark is None else [cell.strip() for cell in line.split(mark)] for line in lines]
    names = None
    if rows and not _is_number(rows[0][0]):
        names = rows.pop(0)[1:]
    width = len(rows[0]) if rows else 0
    if width < 2 or {len(row) for row in rows} != {width} or (names is not None and len(names) != width - 1):
        raise SceneError(f"{path}: a table of wavelengths has lines of equal length: nm, then one value or more")
    try:
        values = np.array(rows, np.float64)
    except ValueError:
        bad = next(cell for row in rows for cell in row if not _is_number(cell))
        raise SceneError(f"{path}: {bad!r} is not a number") from None
    names = [str(at) for at in range(1, width)] if names is None else names
    if len(set(names)) != len(names):
        raise SceneError(f"{path}: two columns have the same name")
    return values[:, 0], dict(zip(names, values[:, 1:].T, strict=True))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
