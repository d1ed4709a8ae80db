"""How labels of one's own pictures hold as the light goes: accuracy against a sensor's noise without a labelled set."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scrambler import Key, Multiplexer
from sensor import Camera
from shufflecam.figures.accuracy import AccuracyCurve
from shufflecam.sources import read_scene

if TYPE_CHECKING:
    from shufflecam.chain import Labeller

EXPOSURES_S = (0.01, 0.0025, 0.000625, 0.00015625, 0.0000390625)
"""From full light down by factors of four."""


def agreement_against_light(
    paths: Sequence[Path],
    camera: Camera,
    labeller: "Labeller",
    key: Key,
    exposures_s: Sequence[float] = EXPOSURES_S,
    on_picture: Callable[[int, int], None] | None = None,
) -> list[AccuracyCurve]:
    """Count how often a label in less light is the one that the plain network gives at the first exposure.

    Parameters
    ----------
    paths : sequence of Path
        Pictures.
    camera : Camera
        Without a multiplexer; its seed fixes the noise.
    labeller : Labeller
    key : Key
        Each frame is shuffled under it and a fresh nonce.
    exposures_s : sequence of float
        The first is the reference.
    on_picture : callable, optional
        Called with the number of pictures done, and of all.

    Returns
    -------
    list of AccuracyCurve
        "plain", "with the key", "without a key", "wrong key"; levels are the exposures in milliseconds.
    """
    hits = {name: [0] * len(exposures_s) for name in ("plain", "with the key", "without a key", "wrong key")}
    wrong = Key.generate()
    for done, path in enumerate(paths, 1):
        scene, reference = read_scene(path), ""
        for number, exposure_s in enumerate(exposures_s):
            natural = camera.capture(scene, exposure_s, frame=number)
            shuffled = natural.shuffle(Multiplexer(key))
            labels = {
                "plain": labeller.label(natural).name,
                "with the key": labeller.label(shuffled, key).name,
                "without a key": labeller.label_as_natural(shuffled).name,
                "wrong key": labeller.label(shuffled, wrong, force=True).name,
            }
            reference = reference or labels["plain"]
            for name, label in labels.items():
                hits[name][number] += label == reference
        if on_picture is not None:
            on_picture(done, len(paths))
    levels = tuple(1e3 * exposure_s for exposure_s in exposures_s)
    return [
        AccuracyCurve(name, levels, tuple(count / len(paths) for count in counts), len(paths))
        for name, counts in hits.items()
    ]
