"""Protected images
================

Every scheme on the same picture, and what the key holder gets back.
"""

# %%
# Every scheme has the same two verbs; what it needs besides the key travels with the result. Left out are the learned
# ones, transform-net and gan: they have no key but weights, which come from a training on the task at hand
# (`networks.train_transform_net`, `networks.train_gan`), and hide pictures only as small as those of that training.
import sys
from pathlib import Path

import matplotlib
import numpy as np
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from scrambler import Key, list_schemes, scheme

key = Key.generate()
picture = skimage.data.chelsea()[:256, 60:316]
names = [name for name in list_schemes() if "weights" not in scheme(name).card.parameters]
schemes = {name: scheme(name, key=key) for name in names}
protected = {name: one.protect(picture) for name, one in schemes.items()}

# %%
# The key holder gets every bit back, where the card says so; the others are noise or averages for good.
revealed = {name: one.reveal(protected[name]) for name, one in schemes.items() if one.card.invertible}
for name, image in revealed.items():
    assert np.array_equal(image, picture), name


# %%
# Values that leave 0 .. 255 are stretched for the eye.
def shown(values: object) -> np.ndarray:
    image = np.asarray(values)[: len(picture), : len(picture)]
    if image.dtype == np.uint8:
        return image
    low, high = np.percentile(image, [0.5, 99.5])
    stretched: np.ndarray = np.clip((image - low) / (high - low), 0, 1)
    return stretched


# %%
# Pairs: what anybody sees, with the label of the scheme's card, and beside it what the key gives back.
columns = 5
rows = -(-(1 + len(schemes)) // columns)
figure, axes = plt.subplots(rows, 2 * columns, figsize=(3.0 * columns, 1.75 * rows), layout="constrained")
for axis in axes.flat:
    axis.axis("off")
pairs = axes.reshape(-1, 2)
pairs[0, 0].imshow(picture)
pairs[0, 0].set_title("plain", fontsize=8)
for (left, right), (name, one) in zip(pairs[1:], schemes.items(), strict=False):
    left.imshow(shown(protected[name]), interpolation="nearest")
    left.set_title(f"{name}\n{one.card.strength}", fontsize=8)
    if name in revealed:
        right.imshow(revealed[name])
        right.set_title("with the key", fontsize=8)
    else:
        right.text(0.5, 0.5, "nobody\ngets it back", ha="center", va="center", fontsize=8)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "protected_images.png", dpi=110)
