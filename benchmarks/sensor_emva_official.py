"""Evaluate a folder of EMVA 1288 frames with the open ``emva1288`` package, and print its figures as JSON.

Runs in an environment of its own, because release 1.0.2 needs ``numpy<2``; it imports nothing of ours:

    python benchmarks/sensor_emva_official.py FOLDER/EMVA1288.txt
"""

import json
import sys

import numpy as np
from emva1288 import process  # type: ignore[import-not-found]  # not among our requirements, see above


def main() -> int:
    """Print the figures of the session whose descriptor file is the first argument."""
    info = process.ParseEmvaDescriptorFile(sys.argv[1])
    images = process.LoadImageData(info.images)
    data = process.Data1288(images.data)
    # The package's own search for saturation stops in the flat tail behind it; the standard says: largest variance.
    at = int(np.argmax(data.data["temporal"]["s2_y"]))
    results = process.Results1288(data.data, index_u_ysat=at)
    names = {
        "gain_dn_per_e": results.K,
        "quantum_efficiency": results.QE / 100,
        "dark_noise_e": results.sigma_d,
        "dsnu_e": results.DSNU1288,
        "prnu_percent": results.PRNU1288,
        "saturation_capacity_e": results.u_e_sat,
        "linearity_error_percent": (results.LE_max - results.LE_min) / 2,
        "dsnu_column_e": results.DSNU1288_col,
        "prnu_column_percent": results.PRNU1288_col,
    }
    # NaN, where a pattern comes out below 0, is no JSON.
    print(json.dumps({name: float(value) if np.isfinite(value) else None for name, value in names.items()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
