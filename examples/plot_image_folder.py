"""An image folder
===============

A folder of photographs goes through the command line: captured, labelled, revealed.
"""

# %%
# Three photographs in a folder, and a key in a file.
import shutil
import sys
import tempfile
from pathlib import Path

import matplotlib
import skimage.data

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from shufflecam.cli import main

work = Path(tempfile.mkdtemp())
(work / "photos").mkdir()
for name in ("chelsea.png", "rocket.jpg", "coffee.png"):
    shutil.copy(Path(skimage.data.__file__).with_name(name), work / "photos")

# %%
# The four commands are the same in a shell: shufflecam keygen door.key, and so on.
assert main(["keygen", str(work / "door.key")]) == 0
assert main(["capture", str(work / "photos"), "--key", str(work / "door.key"), "--out", str(work / "frames")]) == 0
assert main(["label", str(work / "frames"), "--key", str(work / "door.key")]) == 0
assert main(["reveal", str(work / "frames"), "--key", str(work / "door.key"), "--out", str(work / "pictures")]) == 0

# %%
# What came back. Outputs are named after the whole input name; manifest.jsonl beside them says what was done.
revealed = sorted((work / "pictures").glob("*.png"))
figure, axes = plt.subplots(1, len(revealed), figsize=(11, 3.2), layout="constrained")
for axis, path in zip(axes, revealed, strict=True):
    axis.imshow(plt.imread(path))
    axis.set_title(path.name)
    axis.axis("off")
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "image_folder.png", dpi=110)
shutil.rmtree(work)
