"""The record of a run: a line of JSON an epoch, and a picture of the curve."""

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

from networks.errors import TrainingError
from scrambler.files import write_atomically


@dataclass(frozen=True)
class EpochLog:
    """One line of the training log.

    Attributes
    ----------
    epoch : int
        From 0.
    loss : float
        Mean training loss an image.
    metric : str
        ``"accuracy"`` or ``"mean IoU"``.
    test_score : float or None
        In [0, 1]; None after an epoch that was not tested.
    seconds : float
        Wall time of the epoch, without the test.
    precision : str
        What the network was computed in, the test too: ``"bfloat16"``, or ``"float32"`` where a log does not say.
    """

    epoch: int
    loss: float
    metric: str
    test_score: float | None
    seconds: float
    precision: str = "float32"


def read_log(path: Path, epochs: int) -> list[EpochLog]:
    """Return the lines of the first ``epochs`` epochs; a run stopped before its checkpoint leaves more."""
    lines = path.read_text().splitlines()[:epochs] if path.exists() else []
    try:
        return [EpochLog(**json.loads(line)) for line in lines]
    except (ValueError, TypeError):
        raise TrainingError(f"{path} is no log of this program, or it is damaged: choose another folder") from None


def write_log(folder: Path, logs: list[EpochLog]) -> None:
    """Write ``log.jsonl`` and ``curve.png`` into a folder."""
    write_atomically(folder / "log.jsonl", "".join(json.dumps(asdict(log)) + "\n" for log in logs).encode())
    if logs:
        write_atomically(folder / "curve.png", _curve(logs))


def _curve(logs: list[EpochLog]) -> bytes:
    """Return a PNG of loss and score over the epochs."""
    from matplotlib.figure import Figure  # slow to load, and only needed at the end of an epoch

    figure = Figure(figsize=(7, 3), layout="constrained")
    loss, score = figure.subplots(1, 2)
    loss.plot([log.epoch + 1 for log in logs], [log.loss for log in logs], "o-", markersize=3, color="#0072b2")
    loss.set(xlabel="epoch", ylabel="training loss an image")
    tested = [(log.epoch + 1, 100 * log.test_score) for log in logs if log.test_score is not None]
    score.plot([at for at, _ in tested], [value for _, value in tested], "o-", markersize=3, color="#d55e00")
    score.set(xlabel="epoch", ylabel=f"test {logs[-1].metric}, %", title=f"{tested[-1][1]:.2f} %" if tested else "")
    for axes in (loss, score):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=120)
    return png.getvalue()
