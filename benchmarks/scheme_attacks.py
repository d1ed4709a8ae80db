"""What falls without the key: small attacks on published schemes with their default settings, on CIFAR-10.

Run ``python -m benchmarks.scheme_attacks``; the table goes to the screen and benchmarks/results/scheme_attacks.json.
The cards of the schemes quote these figures.
"""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from benchmarks.measure import RESULTS, print_table, write_report
from networks import load_cifar10
from scrambler import Key, scheme

Images = NDArray[Any]


def similarity(plain: Images, found: Images) -> float:
    """Return the mean SSIM of images (B, H, W, 3)."""
    scores = [
        structural_similarity(a, b, channel_axis=2, data_range=255)
        for a, b in zip(plain, np.clip(np.rint(found), 0, 255).astype(np.uint8), strict=True)
    ]
    return float(np.mean(scores))


def from_mean(values: Images, public_mean: Images) -> Images:
    """Take off an addend that all images share, estimated from the mean of the ciphertexts and a public mean image."""
    found: Images = values - np.rint(values.mean(axis=0) - public_mean)
    return found


def common_divisor(values: Images) -> Images:
    """Return the greatest common divisor of each value over all images."""
    divisor: Images = np.maximum(np.gcd.reduce(values.astype(np.int64), axis=0), 1)
    return divisor


def break_mat(values: Images, public_mean: Images) -> Images:
    return from_mean(values, public_mean)


def break_mmt(values: Images, public_mean: Images) -> Images:
    return values / common_divisor(values)


def break_rise_mmt(values: Images, public_mean: Images) -> Images:
    return values / common_divisor(values) - 100


def break_mat_mmt(values: Images, public_mean: Images) -> Images:
    return from_mean(values // common_divisor(values - values[:1]), public_mean)


def break_mmt_mat(values: Images, public_mean: Images) -> Images:
    factor = common_divisor(values - values[:1])
    addend = values.mean(axis=0) - factor * public_mean
    # The addend's residue is known exactly; its multiple of the factor is the nearest one to the estimate.
    residue = values[0] % factor
    found: Images = (values - residue) / factor - np.rint((addend - residue) / factor)
    return found


DLMT = {
    "mat": break_mat,
    "mmt": break_mmt,
    "rise-mmt": break_rise_mmt,
    "mat-mmt": break_mat_mmt,
    "mmt-mat": break_mmt_mat,
}


def dlmt_rows(plain: Images, public_mean: Images, counts: list[int]) -> list[dict[str, Any]]:
    """Return what ciphertexts alone give away, for each of DLMT's schemes and each number of ciphertexts."""
    rows = []
    for name, attack in DLMT.items():
        for count in counts:
            values = np.asarray(scheme(name, key=Key.generate()).protect(plain[:count]))
            found = attack(values, public_mean)
            exact = float((np.rint(found) == plain[:count]).mean())
            rows.append({"scheme": name, "images": count, "SSIM": similarity(plain[:count], found), "exact": exact})
    return rows


def other_rows(plain: Images) -> list[dict[str, Any]]:
    """Return what one protected image shows of itself."""
    hidden = np.asarray(scheme("negative-positive", key=Key.generate()).protect(plain))
    views = {
        # Forcing the top bit to 0 undoes a negative, and folds the plain picture likewise.
        "negative-positive (folded picture)": (np.minimum(plain, 255 - plain), np.minimum(hidden, 255 - hidden)),
        "svd (as released)": (plain, np.asarray(scheme("svd").protect(plain))),
    }
    return [
        {"scheme": name, "images": 1, "SSIM": similarity(wanted, found), "exact": float((wanted == found).mean())}
        for name, (wanted, found) in views.items()
    ]


def main(argv: list[str] | None = None) -> int:
    """Attack, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10, 100, 1000])
    arguments = parser.parse_args(argv)
    plain = load_cifar10("test").images
    public_mean = load_cifar10("train").images.mean(axis=0, dtype=np.float64)
    rows = dlmt_rows(plain, public_mean, arguments.images) + other_rows(plain[:200])
    print_table("Published schemes without the key, CIFAR-10 test images", rows)
    write_report(RESULTS / "scheme_attacks.json", "published schemes attacked without the key, CIFAR-10", rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
