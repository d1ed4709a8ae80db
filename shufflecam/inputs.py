"""What commands are given: files and folders in, output names and one result a file out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scrambler.errors import ShuffleCamError

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
RAW_FILES = frozenset({
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
})  # fmt: skip


@dataclass(frozen=True)
class Input:
    """One file to work on.

    Attributes
    ----------
    path : Path
        Where it is.
    name : Path
        Its name in the output folder, before the new ending: the file's name, or its path below the folder given.
    """

    path: Path
    name: Path

    def output(self, folder: Path, ending: str) -> Path:
        """Return the output's path: the whole input name with ``ending`` behind it.

        >>> Input(Path("in/a.jpg"), Path("a.jpg")).output(Path("out"), ".dng").as_posix()
        'out/a.jpg.dng'
        """
        return folder / self.name.with_name(self.name.name + ending)


def expand(paths: Iterable[Path], endings: frozenset[str], skip: Path | None = None) -> list[Input]:
    """Return the files named, and those with one of ``endings`` anywhere below the folders named, sorted.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders. A file named twice is taken once; hidden files are taken only when named.
    endings : frozenset of str
        In lower case, with the dot.
    skip : Path, optional
        The output folder: what lies in it is no input, so that a second run does not take the first one's results.

    Raises
    ------
    ShuffleCamError
        If a path does not exist, a folder holds nothing to work on, or two inputs would get the same output name.
    """
    found: dict[Path, Input] = {}
    for path in paths:
        if path.is_dir():
            below = [
                p
                for p in sorted(path.rglob("*"))
                if p.suffix.lower() in endings and not p.name.startswith(".") and p.is_file()
                if skip is None or not p.resolve().is_relative_to(skip.resolve())
            ]
            if not below:
                raise ShuffleCamError(f"{path} holds no file with one of the endings {', '.join(sorted(endings))}")
            for p in below:
                found.setdefault(p.resolve(), Input(p, p.relative_to(path)))
        elif path.exists():
            found.setdefault(path.resolve(), Input(path, Path(path.name)))
        else:
            raise ShuffleCamError(f"no such file or folder: {path}")
    taken: dict[str, Path] = {}
    for item in found.values():
        # Case-folded, because some file systems take A.jpg and a.jpg for one name.
        other = taken.setdefault(item.name.as_posix().casefold(), item.path)
        if other is not item.path:
            raise ShuffleCamError(f"{other} and {item.path} would get the same output name; give them in two calls")
    return list(found.values())


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


def for_each(inputs: list[Input], work: Callable[[Input], None], progress: str) -> list[str]:
    """Do ``work`` on every input with a progress bar; go on after a bad one.

    Returns
    -------
    list of str
        One sentence for each input that failed, naming it.
    """
    from rich.progress import track

    from shufflecam.console import stderr

    failures: list[str] = []
    # A bar on a terminal only: a log should hold results, not carriage returns.
    for item in track(inputs, description=progress, console=stderr, disable=len(inputs) == 1 or not stderr.is_terminal):
        try:
            with named(item.path):
                work(item)
        except ShuffleCamError as error:
            failures.append(str(error))
    return failures
