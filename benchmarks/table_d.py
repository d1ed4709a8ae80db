r"""Table D: segmentation of CamVid scenes, 240x180, 11 classes, by networks that read shuffled frames.

Run ``python -m benchmarks.table_d`` after these, on windows of the scenes, then on whole ones (CamVid may not be
redistributed, so no such weights are shipped)::

    shufflecam train deeplab_light --data camvid-trainval --test-every 20 --out runs/deeplab_light-windows
    shufflecam train deeplab_light --data camvid-trainval --test-every 10 --recipe segmentation-whole \
        --start runs/deeplab_light-windows/weights.safetensors --out runs/deeplab_light

The masks come out of the keyed network shuffled; ``table_d.png`` shows one as it is delivered, laid out with the key
and with a wrong one. No photograph is in the picture.
"""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor, nn

from benchmarks.projection import finished, training_record
from benchmarks.tables import NOT_RUN, Row, Table, fill, parser_for
from networks import CAMVID_CLASSES, SegmentedImages, convert, evaluate_segmentation, image_tensor, load_camvid
from scrambler import Key, keyed_permutation
from scrambler.files import write_atomically

KEY, WRONG_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))
TABLE = Table(
    stem="table_d",
    title="Table D: CamVid, 240x180, 11 classes, mean IoU in %",
    columns=(
        "status", "plain", "keyed, laid out with the key", "as delivered, shuffled", "wrong key", "shuffled, no key",
        "other pixels", "test scenes",
    ),
    notes=(
        "Every scene has a nonce of its own. As delivered: the keyed network's masks before the key holder lays them "
        "out. Other pixels: where plain and keyed masks differ. Void is left out.",
        "PrivDL (arXiv 2404.05828) speaks of segmentation and gives no figure.",
        "Trained on the 367 training and 101 validation scenes, from random weights, on windows of the scenes, then on "
        "whole ones; tested on the 233 test scenes, one view each.",
    ),
)  # fmt: skip
MODELS = ("deeplab_light", "unet")
_COLOURS = (
    "#87ceeb", "#8c564b", "#c0c0a0", "#7f4f9f", "#d6a0d6", "#2e8b57", "#ffbf00", "#b0b0b0", "#1f4fbf", "#d62728",
    "#17becf",
)  # fmt: skip


def scored(model: str, folder: Path, test: SegmentedImages, picture: Path) -> dict[str, Any]:
    """Return the row of a trained network, and draw the first model's picture."""
    trained = finished(folder)
    if trained is None:
        part = f"shufflecam train {model} --data camvid-trainval --test-every 10 --out {folder}"
        whole = f"{part} --recipe segmentation-whole --start {folder}-windows/weights.safetensors"
        command = f'{part}-windows && {whole} && python -m benchmarks.table_d --redo --rows "{model}"'
        return {"status": NOT_RUN, "reason": f"There are no weights in {folder} yet.", "command": command}
    found = evaluate_segmentation(trained.network, test, key=KEY, wrong_key=WRONG_KEY)
    if model == MODELS[0]:
        write_atomically(picture, mask_picture(trained.network, test))
    return {
        "plain": 100 * found.plain_mean_iou,
        "keyed, laid out with the key": 100 * found.keyed_mean_iou,
        "as delivered, shuffled": 100 * found.delivered_mean_iou,
        "wrong key": 100 * found.wrong_key_mean_iou,
        "shuffled, no key": 100 * found.no_key_mean_iou,
        "other pixels": found.different_pixels,
        "test scenes": found.images,
        "IoU by class": {
            name: round(100 * iou, 2) for name, iou in zip(trained.classes, found.class_ious, strict=True)
        },
        "largest logit difference": found.max_logit_difference,
        **training_record(folder),
    }


@torch.inference_mode()
def mask_picture(network: nn.Module, test: SegmentedImages, number: int = 0) -> bytes:
    """Return a PNG of one scene's masks: the truth, plain, as delivered, laid out with the key, with a wrong key."""
    frame, nonce = image_tensor(test.images[number : number + 1]), bytes(15) + b"\x01"
    size = (frame.shape[2], frame.shape[3])
    shuffled = torch.as_tensor(keyed_permutation(KEY, size, nonce=nonce).shuffle(frame))
    keyed, wrong = convert(network, KEY, size), convert(network, WRONG_KEY, size)
    delivered = keyed(shuffled, nonce=[nonce])
    panels = {
        "annotated": np.where(test.masks[number] == test.void, np.nan, test.masks[number].astype(float)),
        "plain network": _mask(network(frame)),
        "keyed, as delivered": _mask(delivered),
        "keyed, laid out with the key": _mask(keyed.unshuffle(delivered, [nonce])),
        "keyed, laid out with a wrong key": _mask(wrong.unshuffle(wrong(shuffled, nonce=[nonce]), [nonce])),
    }
    figure = Figure(figsize=(15, 3), layout="constrained")
    colours = ListedColormap(_COLOURS)
    for axes, (title, mask) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(mask, cmap=colours, vmin=-0.5, vmax=len(_COLOURS) - 0.5, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    named = [Patch(color=colour, label=name) for colour, name in zip(_COLOURS, CAMVID_CLASSES, strict=True)]
    figure.legend(handles=named, ncols=len(named), loc="outside lower center", fontsize=7, frameon=False)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()


def _mask(logits: Tensor) -> Any:
    return logits[0].argmax(0).numpy().astype(float)


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing."""
    parser = parser_for(__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings")
    parser.add_argument("--images", type=int, default=233, help="test scenes")
    options = parser.parse_args(argv)
    test = load_camvid("test").subset(options.images)
    rows = [
        Row(
            name=model,
            run=partial(scored, model, options.runs / model, test, options.out / "table_d.png"),
            settings={"seed": 0, "test scenes": len(test.images)},
        )
        for model in MODELS
    ]
    fill(TABLE, rows, options)


if __name__ == "__main__":
    main()
