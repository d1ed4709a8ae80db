"""Accuracy against noise: measured, and drawn with what chance alone could have made of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scrambler import Key
from shufflecam.figures.style import DASHES, PALETTE, FigureError, drawable, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from networks import LabelledImages

_MARKS = "os^Dvx*"


@dataclass(frozen=True)
class AccuracyCurve:
    """Accuracy at several levels of noise.

    Attributes
    ----------
    name : str
        For the legend.
    levels : tuple of float
        Strength of the noise, ascending.
    accuracies : tuple of float
        One for each level, in [0, 1].
    images : int
        How many images each accuracy was counted on.
    """

    name: str
    levels: tuple[float, ...]
    accuracies: tuple[float, ...]
    images: int

    def __post_init__(self) -> None:
        if not self.levels or len(self.levels) != len(self.accuracies) or self.images < 1:
            raise FigureError(f"curve {self.name!r} needs as many accuracies as levels, one at least, and its images")
        if not all(0 <= share <= 1 for share in self.accuracies):
            raise FigureError(f"curve {self.name!r}: accuracies lie in [0, 1]")

    def intervals(self, z: float = 1.96) -> list[tuple[float, float]]:
        r"""Return the interval of each accuracy by Wilson's formula (1927); ``z`` = 1.96 gives 95 %.

        .. math:: \frac{p + z^2/2n \pm z \sqrt{p (1 - p)/n + z^2/4n^2}}{1 + z^2/n}

        Examples
        --------
        >>> [(low, high)] = AccuracyCurve("a", (0.0,), (0.5,), 100).intervals()
        >>> round(low, 3), round(high, 3)
        (0.404, 0.596)
        """
        found = []
        for p in self.accuracies:
            n, middle = self.images, p + z * z / (2 * self.images)
            wide = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
            scale = 1 + z * z / n
            # Rounding must not put the interval's end beside an accuracy of 0 or 1.
            found.append((min(p, max(0.0, (middle - wide) / scale)), max(p, min(1.0, (middle + wide) / scale))))
        return found


def accuracy_against_noise(
    network: "nn.Module",
    data: "LabelledImages",
    levels_dn: Sequence[float],
    key: Key,
    rng: np.random.Generator,
) -> list[AccuracyCurve]:
    """Measure a network with the key, with a wrong one and without, on images with more and more Gaussian noise.

    Parameters
    ----------
    network : torch.nn.Module
        Plain; it is converted with ``key``.
    data : LabelledImages
        Test images; each is shuffled under a fresh nonce.
    levels_dn : sequence of float
        Standard deviations of the noise, in 8-bit codes; values are rounded and clipped to codes, as a camera does.
    key : Key
    rng : numpy Generator
        Draws the noise, which all four see alike.

    Returns
    -------
    list of AccuracyCurve
        "plain", "with the key", "without a key" and "wrong key".
    """
    from networks import LabelledImages, evaluate

    found: dict[str, list[float]] = {"plain": [], "with the key": [], "without a key": [], "wrong key": []}
    for level in levels_dn:
        noise = rng.standard_normal(data.images.shape, np.float32) * np.float32(level)
        noisy = np.clip(np.rint(data.images + noise), 0, 255).astype(np.uint8)
        result = evaluate(network, LabelledImages(noisy, data.labels, data.classes), key=key, wrong_key=Key.generate())
        assert result.wrong_key_accuracy is not None
        for name, share in zip(
            found,
            (result.plain_accuracy, result.keyed_accuracy, result.no_key_accuracy, result.wrong_key_accuracy),
            strict=True,
        ):
            found[name].append(share)
    levels = tuple(float(level) for level in levels_dn)
    return [AccuracyCurve(name, levels, tuple(shares), len(data.images)) for name, shares in found.items()]


def draw_accuracy(
    curves: Sequence[AccuracyCurve],
    noise: str = "noise, standard deviation in 8-bit codes",
    accuracy: str = "accuracy",
    *,
    chance: float | None = None,
    log: bool = False,
) -> "Figure":
    """Draw accuracy against noise, each curve with its 95 % interval.

    Parameters
    ----------
    curves : sequence of AccuracyCurve
    noise, accuracy : str
        What the axes say.
    chance : float, optional
        Accuracy of guessing, drawn as a line.
    log : bool
        Draw the levels on a logarithmic scale, the largest first: for light, which noise grows without.

    Raises
    ------
    FigureError
        If there are no curves.
    """
    if not curves:
        raise FigureError("give one curve at least")
    with house_style():
        figure = new_figure(6.4, 4.2)
        axis = figure.subplots()
        for number, curve in enumerate(curves):
            colour = PALETTE[number % len(PALETTE)]
            low, high = zip(*curve.intervals(), strict=True)
            axis.fill_between(curve.levels, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(
                curve.levels, curve.accuracies, DASHES[number % len(DASHES)], color=colour,
                marker=_MARKS[number % len(_MARKS)], markersize=5, label=drawable(curve.name),
            )  # fmt: skip
        if chance is not None:
            axis.axhline(chance, color="0.5", linewidth=0.8)
            axis.annotate(
                "guessing", (1, chance), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
            )
        axis.set(xlabel=drawable(noise, 80), ylabel=drawable(accuracy, 80), ylim=(-0.02, 1.02))
        if log:
            axis.set_xscale("log")
            axis.invert_xaxis()
        axis.legend(fontsize=9)
        axis.set_title(f"{curves[0].images} images; bands: 95 % intervals", fontsize=10)
    return figure
