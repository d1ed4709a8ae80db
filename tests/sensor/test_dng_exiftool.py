"""Every kind of DNG that we write passes the check of ExifTool."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS
from tests.sensor.frames import make_frame

PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:4", "tiles:4", "blocks:4")
HEIGHT, WIDTH = 24, 31


def write_all(folder, key):
    """Write every kind of frame; return the names of files whose rows end with filling bits."""
    filled = set()
    for bits in (8, 10, 12, 14, 16):
        top = (1 << bits) - 1
        codes = np.random.default_rng(bits).integers(0, top + 1, (HEIGHT, WIDTH)).astype(np.uint16)
        for cfa in (*BAYER, QUAD_BAYER, X_TRANS, MONO):
            for packed in (False, True):
                name = f"{bits}-{cfa}-{'packed' if packed else 'words'}.dng"
                frame = make_frame(cfa=cfa, mosaic=codes, bit_depth=bits, white_level=top, black_level=top // 8)
                frame.save(folder / name, packed=packed)
                if packed and WIDTH * bits % 8:
                    filled.add(name)
    for pattern in PATTERNS:
        multiplexer = Multiplexer(key, pattern=pattern)
        make_frame(HEIGHT, WIDTH).shuffle(multiplexer).save(folder / f"shuffled {pattern.replace(':', ' ')}.dng")
    unknown = {"exposure_s": None, "gain_dn_per_e": None, "read_noise_e": None, "sensor": ""}
    make_frame(HEIGHT, WIDTH, **unknown).save(folder / "nothing known.dng")
    make_frame(HEIGHT, WIDTH, exposure_s=0.0).save(folder / "no exposure.dng")
    make_frame(HEIGHT, WIDTH, exposure_s=1e-7).save(folder / "short exposure.dng")
    make_frame(HEIGHT, WIDTH, black_level=[[64.25, 0.0], [1 / 3, 9.5]]).save(folder / "broken black.dng")
    return filled


def test_exiftool_finds_nothing_to_say_about_our_files(tmp_path, key):
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed")
    filled = write_all(tmp_path, key)
    command = [program, "-validate", "-warning", "-a", "-error", "-json", "-r", str(tmp_path)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert len(answer) == 70 + len(PATTERNS) + 4
    for entry in answer:
        assert "Error" not in entry, entry
        if entry["SourceFile"].rpartition("/")[2] in filled:
            # TIFF 6.0 has every row begin at a whole byte; ExifTool's sum leaves the filling bits out.
            assert entry.get("Warning", "[minor] Oversized").startswith("[minor] Oversized IFD0 StripByteCounts"), entry
        else:
            assert (entry["Validate"], entry.get("Warning")) == ("OK", None), entry
