"""Capture to label
================

A picture becomes a shuffled RAW frame, and the frame becomes a label, with no picture in between.
"""

# %%
# A camera with a key. The scene is a photograph that scikit-image installs; the sensor is a published one.
import sys
from pathlib import Path

import matplotlib
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scrambler import Key, Multiplexer
from sensor import Camera, Scene, develop
from shufflecam.chain import Labeller, seen_without_key

key = Key.generate()
camera = Camera("imx477", multiplexer=Multiplexer(key), seed=7)
scene = Scene.from_image(Path(skimage.data.__file__).with_name("chelsea.png"))
frame = camera.capture(scene, exposure_s=0.01)
print(frame)

# %%
# The label, straight from the shuffled frame, equals the plain one. Without the key the network sees noise, but the
# noise has the picture's colours, and colours alone can give a scene away: brown noise is a cat to this network.
labeller = Labeller.load()
with_key = labeller.label(frame, key)
without = labeller.label_as_natural(frame)
plain = labeller.label(frame.unshuffle(key))
assert with_key.name == plain.name
print(f"with the key: {with_key.name}; plain: {plain.name}; without: {without.name}")

# %%
# What each party sees.
figure, axes = plt.subplots(1, 3, figsize=(9, 2.3), layout="constrained")
views = {
    "plain": develop(frame.unshuffle(key)),
    "what the camera delivers": develop(seen_without_key(frame)),
    "what the key holder gets": develop(frame, key),
}
for axis, (title, picture) in zip(axes, views.items(), strict=True):
    axis.imshow(picture, interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "capture_to_label.png", dpi=100)
