"""What commands are given: files and folders in, output names out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from scrambler.errors import ShuffleCamError

PICTURES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
})  # fmt: skip
RAW_FILES = frozenset({
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
})  # fmt: skip
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
MEDIA = PICTURES | RAW_FILES | VIDEOS


@dataclass(frozen=True)
class Input:
    """One file to work on.

    Attributes
    ----------
    path : Path
        Where it is.
    name : Path
        Its name in the output folder, before the new ending: the file's name, or its path below the folder given.
    problem : str
        Why it cannot be worked on, known before anybody tried; empty for a sound one.
    """

    path: Path
    name: Path
    problem: str = ""

    def output(self, folder: Path, ending: str) -> Path:
        """Return the output's path: the whole input name with ``ending`` behind it.

        >>> Input(Path("in/a.jpg"), Path("a.jpg")).output(Path("out"), ".dng").as_posix()
        'out/a.jpg.dng'
        """
        return folder / (os.fspath(self.name) + ending)


def expand(
    paths: Iterable[Path], endings: frozenset[str], skip: Path | None = None, others: Counter[str] | None = None
) -> list[Input]:
    """Return the files named, and those with one of ``endings`` anywhere below the folders named, sorted.

    Links are followed, but no folder is entered twice and none above the folder given, so loops of links end. A link
    that leads nowhere and a folder that cannot be read are inputs with a ``problem``.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders. A file named twice is taken once; hidden files and folders are taken only when named.
    endings : frozenset of str
        In lower case, with the dot.
    skip : Path, optional
        The output folder: what lies in it is no input, so that a second run does not take the first one's results.
    others : Counter, optional
        Gets the number of pictures, RAW files and videos in the folders that have none of ``endings``, by ending.

    Raises
    ------
    ShuffleCamError
        If a path does not exist or is neither file nor folder, a folder holds nothing to work on or is the output
        folder itself, or two inputs would get the same output name.
    """
    found: dict[str, Input] = {}
    for path in paths:
        if path.is_dir():
            if skip is not None and _same_folder(path, skip):
                raise ShuffleCamError(f"{path} is the output folder too; give another folder for the results")
            below = _below(path, endings, skip, Counter() if others is None else others)
            if not below:
                raise ShuffleCamError(f"{path} holds no file with one of the endings {', '.join(sorted(endings))}")
            for place, item in sorted(below, key=lambda one: one[1].name.parts):
                found.setdefault(place, item)
        elif path.is_file():
            found.setdefault(os.path.realpath(path), Input(path, Path(path.name)))
        elif path.exists():
            raise ShuffleCamError(f"{path} is neither a file nor a folder")
        else:
            raise ShuffleCamError(f"no such file or folder: {path}")
    taken: dict[str, Path] = {}
    names = {item.name.as_posix() for item in found.values()}
    folds = skip is not None and len({name.casefold() for name in names}) < len(names) and _folds_case(skip)
    for item in found.values():
        name = item.name.as_posix()
        other = taken.setdefault(name.casefold() if folds else name, item.path)
        if other is not item.path:
            raise ShuffleCamError(
                f"{other} and {item.path} would get the same output name; "
                "give them in two calls, each with its own --out"
            )
    return list(found.values())


def _folds_case(folder: Path) -> bool:
    """Tell whether A.jpg and a.jpg are one file in a folder that need not exist yet.

    Asked with a file that is gone at once: a memory card that takes both for one is mounted where they are two.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    with suppress(OSError), NamedTemporaryFile(prefix=".case-", dir=there) as probe:
        return os.path.exists(there / Path(probe.name).name.swapcase())
    return False  # nothing can be written there, as the job will tell


def _same_folder(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _below(root: Path, endings: frozenset[str], skip: Path | None, others: Counter[str]) -> list[tuple[str, Input]]:
    """Return the inputs below a folder, each with its real path, and count what else there is to see."""
    found: list[tuple[str, Input]] = []
    # A link to a folder above would bring in what the user did not name.
    entered = {_identity(folder) for folder in Path(os.path.realpath(root)).parents}
    if skip is not None and skip.exists():
        entered.add(_identity(skip))
    folders, links = [root], list[Path]()
    while folders or links:
        # Links come last, so that a folder which lies in the tree itself is taken under its own name.
        folder = folders.pop() if folders else links.pop()
        try:
            identity = _identity(folder)
            if identity in entered:
                continue
            entered.add(identity)
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError as error:
            reason = f"the folder cannot be read ({error.strerror})"
            found.append((str(folder), Input(folder, folder.relative_to(root), reason)))
            continue
        real, name = os.path.realpath(folder), folder.relative_to(root)
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(folder / entry.name)
            elif os.path.isdir(entry):
                links.append(folder / entry.name)
            elif (ending := os.path.splitext(entry.name)[1].lower()) not in endings:
                others[ending] += ending in MEDIA
            else:
                place = os.path.join(real, entry.name)
                if entry.is_file(follow_symlinks=False):
                    found.append((place, Input(folder / entry.name, name / entry.name)))
                elif os.path.isfile(entry):
                    found.append((os.path.realpath(place), Input(folder / entry.name, name / entry.name)))
                elif entry.is_symlink():
                    problem = "the link leads nowhere"
                    found.append((place, Input(folder / entry.name, name / entry.name, problem)))
    return found


def true_name(path: Path) -> bytes:
    """Return a file's path without links, absolute: what seeds tell inputs apart by.

    The same as ``os.fsencode(path.resolve())``, without a walk from the root for every file of a folder.
    """
    folder, name = os.path.split(path)
    with suppress(OSError):  # the folder may be gone
        place = os.path.join(_true_folder(folder or ".", _identity(folder or ".")), name)
        if not os.path.islink(place):
            return os.fsencode(place)
    return os.fsencode(os.path.realpath(path))


@lru_cache(maxsize=256)
def _true_folder(folder: str, identity: tuple[int, int]) -> str:
    """Return a folder's real path; its identity tells when the same name leads to another folder by now."""
    return os.path.realpath(folder)


@contextmanager
def folder_of(target: Path) -> Iterator[None]:
    """Make the folder of an output that is about to be written; take it away again if that fails."""
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:  # deepest first; one that has filled up meanwhile stays
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn what goes wrong with one input into one sentence that names it.

    Besides our own errors these are those of the libraries that decode files: a damaged file can make them raise
    nearly anything.

    Raises
    ------
    ShuffleCamError
        Instead of the error inside.
    """
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ShuffleCamError(reason if str(path) in reason else f"{path}: {reason}") from error
