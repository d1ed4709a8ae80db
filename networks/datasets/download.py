"""Getting the public data sets, checked against their known hashes."""

from collections.abc import Callable
from pathlib import Path

from networks.datasets.labelled import DatasetError

_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FILES = {
    "cifar10": [(_TORONTO, "cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530")],
    "mnist": [
        (_MNIST, "train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        (_MNIST, "train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        (_MNIST, "t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"),
        (_MNIST, "t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ],
}


class _Progress:
    """What pooch calls a progress bar, handing on bytes done and bytes in all."""

    def __init__(self, on_bytes: Callable[[int, int], None] | None) -> None:
        self.total = 0
        self._done = 0
        self._on_bytes = on_bytes

    def update(self, count: int) -> None:
        """Count bytes that have come."""
        self._done += count
        if self._on_bytes is not None:
            self._on_bytes(self._done, self.total)

    def reset(self) -> None:
        """Start from nothing; pooch calls this before it reports the whole size once more."""
        self._done = 0

    def close(self) -> None:
        """Nothing to close."""


def download_dataset(name: str, folder: Path | str, on_bytes: Callable[[int, int], None] | None = None) -> None:
    """Download a data set's official files into ``folder``; files already there and whole are kept.

    Parameters
    ----------
    name : {"cifar10", "mnist"}
        Which one.
    folder : path
        Created where it is missing. Each file comes under a temporary name and is renamed when its hash is right.
    on_bytes : callable, optional
        Called with (bytes done, bytes in all) of the file that is coming.

    Raises
    ------
    DatasetError
        If the name is unknown, there is no network, or a file's hash is wrong.
    """
    import pooch  # with requests behind it, too slow to load for those who have the data

    if name not in _FILES:
        raise DatasetError(f"there is no download called {name!r}; choose one of {', '.join(_FILES)}")
    pooch.get_logger().setLevel("ERROR")
    for base, file, known_hash in _FILES[name]:
        try:
            loader = pooch.HTTPDownloader(progressbar=_Progress(on_bytes))
            pooch.retrieve(base + file, known_hash, fname=file, path=folder, downloader=loader)
        except ValueError:
            raise DatasetError(f"{base}{file} did not give the official file: its hash differs") from None
        except OSError as error:  # requests' errors are OSErrors too
            raise DatasetError(
                f"{file} could not be got from {base} ({type(error).__name__}): without a network, put the official"
                f" file into {folder} yourself"
            ) from None
