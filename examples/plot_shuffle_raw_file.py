"""Shuffle a RAW file
==================

A RAW file of any camera is read, shuffled, written as DNG, and brought back bit for bit.
"""

# %%
# Give a RAW file as second argument; without one, a capture of the simulated sensor stands in.
import sys
import tempfile
from pathlib import Path

import matplotlib
import rawpy
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scrambler import Key, Multiplexer
from sensor import Camera, RawFrame, Scene, develop
from shufflecam.chain import seen_without_key

work = Path(tempfile.mkdtemp())
if len(sys.argv) > 2:
    raw_file = Path(sys.argv[2])
else:
    raw_file = work / "natural.dng"
    picture = Path(skimage.data.__file__).with_name("coffee.png")
    Camera("imx477", seed=3).capture(Scene.from_image(picture)).save(raw_file)
plain = RawFrame.load(raw_file)
print(plain)

# %%
# Shuffle and save. The file holds the key's public id and the nonce, never the key.
key = Key.generate()
plain.shuffle(Multiplexer(key)).save(work / "shuffled.dng")
shuffled = RawFrame.load(work / "shuffled.dng")
with rawpy.imread(str(work / "shuffled.dng")) as opened:
    assert (opened.raw_image == shuffled.mosaic).all()
assert (shuffled.unshuffle(key).mosaic == plain.mosaic).all()

# %%
# As delivered, and developed with the key straight from the shuffled frame.
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
axes[0].imshow(develop(seen_without_key(shuffled)), interpolation="nearest")
axes[0].set_title("shuffled DNG in any RAW software")
axes[1].imshow(develop(shuffled, key))
axes[1].set_title("developed with the key")
for axis in axes:
    axis.axis("off")
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "shuffle_raw_file.png", dpi=110)
