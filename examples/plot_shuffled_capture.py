"""Shuffled capture
================

The same scene read out in five orders: only the whole-frame shuffle hides its layout.
"""

# %%
# A dim capture, so that shot and read noise show: a tenth of the light that saturates.
import sys
from pathlib import Path

import matplotlib
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scrambler import Key, Multiplexer
from sensor import Camera, Scene, develop
from shufflecam.chain import seen_without_key

key = Key.generate()
scene = Scene.from_image(Path(skimage.data.__file__).with_name("astronaut.png"))
natural = Camera("imx477", seed=7).capture(scene, exposure_s=0.003)

# %%
# A shuffle after the converter moves codes and changes none, so unshuffling gives the same frame bit for bit.
patterns = ["frame", "tiles:32", "rows", "columns", "rows+columns"]
frames = {pattern: natural.shuffle(Multiplexer(key, pattern=pattern)) for pattern in patterns}
for frame in frames.values():
    assert (frame.unshuffle(key).mosaic == natural.mosaic).all()

# %%
# Each as RAW software shows it.
figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
views = {"natural order": natural} | {pattern: seen_without_key(frame) for pattern, frame in frames.items()}
for axis, (title, frame) in zip(axes.flat, views.items(), strict=True):
    axis.imshow(develop(frame) ** 0.7, interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "shuffled_capture.png", dpi=110)
