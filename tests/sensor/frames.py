"""Frames for tests: random codes, attributes with numbers that tell a mix-up."""

import numpy as np

from sensor import RawFrame


def make_frame(height=24, width=30, cfa="RGGB", seed=0, **other):
    codes = np.random.default_rng(seed).integers(0, 4096, (height, width)).astype(np.uint16)
    attributes = {
        "mosaic": codes,
        "cfa": cfa,
        "bit_depth": 12,
        "black_level": 64,
        "white_level": 4000,
        "white_balance": [2.0, 1.0, 1.5],
        "color_matrix": [[1.5, -0.25, -0.25], [-0.5, 2.0, -0.5], [0.0, -0.5, 1.5]],
        "exposure_s": 0.01,
        "gain_dn_per_e": 0.5,
        "read_noise_e": 3.0,
        "sensor": "test",
    }
    return RawFrame(**{**attributes, **other})
