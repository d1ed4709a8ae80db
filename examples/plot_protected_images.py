"""Protected images
================

Protections side by side, with the histogram that each leaves of the picture.
"""

# %%
# Every scheme has the same two verbs; a nonce is drawn for each image and travels with the result.
import sys
from pathlib import Path

import matplotlib
import numpy as np
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scrambler import Key, list_schemes, scheme

key = Key.generate()
picture = skimage.data.chelsea()[:300, :300]
protected = {name: scheme(name, key=key).protect(picture) for name in list_schemes()}

# %%
# The key holder gets every bit back.
for name, image in protected.items():
    assert np.array_equal(scheme(name, key=key).reveal(image), picture), name

# %%
# A shuffle hides where values are, not which values there are: the histograms are all the same.
columns = 1 + len(protected)
figure, axes = plt.subplots(2, columns, figsize=(2.6 * columns, 4), height_ratios=(3, 1), layout="constrained")
views = {"plain": picture} | {name: np.asarray(image) for name, image in protected.items()}
for (top, bottom), (title, image) in zip(axes.T, views.items(), strict=True):
    top.imshow(image, interpolation="nearest")
    top.set_title(title)
    top.axis("off")
    bottom.hist(image.ravel(), bins=64, range=(0, 256))
    bottom.set_yticks([])
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "protected_images.png", dpi=110)
