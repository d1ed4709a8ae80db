"""Demosaic a mosaic with the ``colour-demosaicing`` package, once for each line that arrives on standard input.

Runs in an environment of its own, because the package is not among our requirements; it imports nothing of ours:

    python benchmarks/develop_official.py LIGHT.npy CFA RGB.npy

LIGHT.npy holds float64 light in [0, 1], shape (H, W), and CFA its four letters. The result goes to RGB.npy; then every
line answered is the seconds that one more run took. :mod:`benchmarks.develop_speed` starts it.
"""

import sys
import time

import numpy as np
from colour_demosaicing import (  # type: ignore[import-not-found]  # not among our requirements, see above
    demosaicing_CFA_Bayer_Malvar2004,
)


def main() -> int:
    """Write the demosaiced picture, then time runs on request."""
    light, cfa = np.load(sys.argv[1]), sys.argv[2]
    np.save(sys.argv[3], demosaicing_CFA_Bayer_Malvar2004(light, cfa))
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        demosaicing_CFA_Bayer_Malvar2004(light, cfa)
        print(time.perf_counter() - begin, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
