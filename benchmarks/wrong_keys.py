"""How often a wrong key gives the right label, over several pictures.

Run as ``python -m benchmarks.wrong_keys [KEYS]``; prints a table and writes ``results/wrong_keys.json``. The plain
network on as many shuffles of the same scene, without any key, is the yardstick: a wrong key should do no better.
"""

import sys
from pathlib import Path

import skimage.data

from benchmarks.measure import RESULTS, print_table, write_report
from scrambler import Key, Multiplexer
from sensor import Camera, Scene
from shufflecam.chain import Labeller
from shufflecam.wrong_keys import count_wrong_key_labels

PICTURES = ("chelsea.png", "rocket.jpg", "coffee.png", "astronaut.png", "motorcycle_left.png", "horse.png")


def main(keys: int = 1000) -> None:
    labeller = Labeller.load()
    rows: list[dict[str, object]] = []
    for name in PICTURES:
        key = Key.generate()
        scene = Scene.from_image(Path(skimage.data.__file__).with_name(name))
        frame = Camera("imx477", multiplexer=Multiplexer(key), seed=7).capture(scene)
        labels = count_wrong_key_labels(labeller, frame, key, range(keys))
        rows.append(
            {
                "picture": name,
                "plain label": labels.right,
                "wrong keys": keys,
                "right with a wrong key": labels.wrong_keys[labels.right],
                "right without a key": labels.no_key[labels.right],
                "most common label of wrong keys": labels.wrong_keys.most_common(1)[0][0],
            }
        )
    print_table("Wrong keys", rows)
    write_report(RESULTS / "wrong_keys.json", "Labels that wrong keys give", rows)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
