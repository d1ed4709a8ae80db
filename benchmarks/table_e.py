"""Table E: from the sensor on. The shipped network on RAW frames of CIFAR-10 scenes, shuffled and in natural order.

Run ``python -m benchmarks.table_e``. A scene is a test image, every pixel a square of photosites under a Bayer filter.
The camera reads it out shuffled, under a fresh nonce; the frame is developed in one pass over shuffled values and read
by the keyed network. Beside it the same frame, laid out again with the key, takes the natural-order way.
"""

import warnings
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.tables import Row, Table, fill, parser_for
from networks import convert, load_cifar10, load_network
from scrambler import Key, Multiplexer, keyed_permutation
from sensor import Camera, Scene, sensor_preset
from sensor.srgb import srgb_decode
from shufflecam.chain import network_input, seen_without_key

_BATCH = 50
KEY = Key.from_bytes(bytes(range(32)))
TABLE = Table(
    stem="table_e",
    title="Table E: from light to label, cifar10-airbench94, accuracy in %",
    columns=("natural order", "shuffled, with the key", "other labels", "shuffled, no key", "mean code, % of range"),
    notes=(
        "Natural order: the frame laid out with its key, then developed and labelled as a plain camera's. Other "
        "labels: frames on which the keyed way says something else. No key: the shuffled mosaic as it lies.",
        "Over 200 images a standard error is about 2.2 points; rows share images, so their differences vary less.",
        "Sensor preset imx477, Bayer, shuffled after conversion unless the row says otherwise: pattern frame, unit "
        "quad, 12 bits, 10 ms, at which white reaches saturation.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one row changes."""

    exposure_s: float = 0.01
    bits: int = 12
    pattern: str = "frame"
    unit: str = "quad"


SETTINGS = {
    "exposure 10 ms, 12 bits, frame": Setting(),
    **{f"exposure {1e3 * s:g} ms": Setting(exposure_s=s) for s in (0.02, 0.003, 0.001, 0.0003, 0.0001, 0.00003)},
    **{f"{bits} bits": Setting(bits=bits) for bits in (14, 10, 8)},
    **{
        f"pattern {pattern}": Setting(pattern=pattern)
        for pattern in ("rows", "columns", "rows+columns", "lines:4", "tiles:8", "blocks:8")
    },
    **{f"unit {unit}": Setting(unit=unit) for unit in ("pixel", "plane")},
}


def measured(setting: Setting, images: int, enlarge: int, seed: int) -> dict[str, Any]:
    """Return a row: accuracies over the first test images."""
    test = load_cifar10("test").subset(images)
    pretrained = load_network("cifar10-airbench94")
    size = pretrained.input_size
    keyed = convert(pretrained.network, KEY, size)
    preset = sensor_preset("imx477")
    # Another converter over the same range: everything that is counted in codes goes with it.
    step = 2.0 ** (setting.bits - preset.bit_depth)
    preset = replace(
        preset, bit_depth=setting.bits, black_level_dn=int(step * preset.black_level_dn),
        gain_dn_per_e=step * preset.gain_dn_per_e, converter_noise_dn=step * preset.converter_noise_dn,
    )  # fmt: skip
    camera = Camera(preset, multiplexer=Multiplexer(KEY, pattern=setting.pattern, unit=setting.unit), seed=seed)
    inputs: dict[str, list[Tensor]] = {"natural": [], "keyed": [], "none": []}
    nonces, level = list[bytes](), 0.0
    for number, image in enumerate(test.images):
        nonce = sha256(f"table e, seed {seed}, image {number}".encode()).digest()[:16]
        light = srgb_decode(image / 255).repeat(enlarge, 0).repeat(enlarge, 1)
        frame = camera.capture(Scene.from_array(light), exposure_s=setting.exposure_s, frame=number, nonce=nonce)
        order = keyed_permutation(KEY, size, nonce=nonce)
        inputs["natural"].append(network_input(frame.unshuffle(KEY), size))
        inputs["keyed"].append(network_input(frame, size, frame.readout_permutation(KEY), order))
        inputs["none"].append(network_input(seen_without_key(frame), size))
        nonces.append(nonce)
        black = float(np.mean(frame.black_level))
        level += (float(frame.mosaic.mean()) - black) / (float(np.mean(frame.white_level)) - black)
    answers = {way: torch.zeros(len(nonces), dtype=torch.int64) for way in inputs}
    with torch.inference_mode():
        for start in range(0, len(nonces), _BATCH):
            part = slice(start, start + _BATCH)
            for way, frames in inputs.items():
                batch = torch.cat(frames[part]).contiguous(memory_format=torch.channels_last)
                logits = keyed(batch, nonce=nonces[part]) if way == "keyed" else pretrained.network(batch)
                answers[way][part] = logits.argmax(1)
    right = {way: int((found.numpy() == test.labels).sum()) for way, found in answers.items()}
    other = int((answers["keyed"] != answers["natural"]).sum())
    count = len(test.images)
    return {
        "natural order": 100 * right["natural"] / count,
        "shuffled, with the key": 100 * right["keyed"] / count,
        "other labels": other,
        "shuffled, no key": 100 * right["none"] / count,
        "mean code, % of range": 100 * level / count,
    }


def rows_of(images: int, enlarge: int, seed: int) -> list[Row]:
    """Return all rows."""
    common = {"images": images, "photosites a pixel": enlarge**2, "seed": seed}
    return [
        Row(
            name=name,
            run=partial(measured, setting, images, enlarge, seed),
            settings=common | asdict(setting),
        )
        for name, setting in SETTINGS.items()
    ]


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing."""
    parser = parser_for(__doc__)
    parser.add_argument("--images", type=int, default=200, help="test images a row")
    parser.add_argument("--enlarge", type=int, default=4, help="photosites along a side of an image's pixel")
    parser.add_argument("--seed", type=int, default=0, help="of the camera's noise and the nonces")
    options = parser.parse_args(argv)
    # Rows and columns are weak patterns, and say so; here they are what is looked at.
    warnings.simplefilter("ignore")
    fill(TABLE, rows_of(options.images, options.enlarge, options.seed), options)


if __name__ == "__main__":
    main()
