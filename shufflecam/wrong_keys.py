"""What wrong keys make of a frame: which labels come out, beside those that no key at all gives."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scrambler import Key, Multiplexer
from sensor import RawFrame
from shufflecam.chain import Labeller


@dataclass(frozen=True)
class WrongKeyLabels:
    """Labels of one scene, counted.

    Attributes
    ----------
    right : str
        What the plain network says of the plain frame.
    wrong_keys : Counter of str
        Labels of the keyed network, one for each wrong key.
    no_key : Counter of str
        Labels of the plain network on as many shuffled frames of the scene.
    """

    right: str
    wrong_keys: Counter[str]
    no_key: Counter[str]


def count_wrong_key_labels(labeller: Labeller, frame: RawFrame, key: Key, rounds: Iterable[object]) -> WrongKeyLabels:
    """Label a shuffled frame with a fresh wrong key in every round, and a fresh shuffle of it without a key.

    Parameters
    ----------
    labeller : Labeller
        The network.
    frame : RawFrame
        Shuffled under ``key``.
    key : Key
        The right one.
    rounds : iterable
        One round for each item.
    """
    natural = frame.unshuffle(key)
    labels = WrongKeyLabels(labeller.label(natural).name, Counter(), Counter())
    for _ in rounds:
        wrong = Key.generate()
        labels.wrong_keys[labeller.label(frame, wrong, force=True).name] += 1
        labeller.forget(wrong)
        labels.no_key[labeller.label_as_natural(natural.shuffle(Multiplexer(wrong))).name] += 1
    return labels
