"""Five thousand damaged DNGs: a frame or one sentence, never a crash and never a giant allocation."""

import resource

import numpy as np
import pytest
from frames import make_frame

from scrambler import Multiplexer
from sensor import RawFileError, RawFrame

MUTANTS = 5000


@pytest.mark.slow
def test_no_damage_does_harm(tmp_path, key):
    path = tmp_path / "m.dng"
    frame = make_frame(24, 36, "RGGB")
    originals = []
    for one in (
        frame,
        frame.shuffle(Multiplexer(key)),
        make_frame(23, 25, "W"),
        make_frame(24, 36, "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"),
    ):
        one.save(path)
        originals.append(path.read_bytes())
    rng = np.random.default_rng(7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused, loaded, sentences = 0, 0, set()
    for number in range(MUTANTS):
        mutant = bytearray(originals[number % len(originals)])
        header = len(mutant) - 2 * 23 * 25
        for at in rng.integers(0, header, rng.integers(1, 9)):
            # Numbers that hurt most: nothing, everything, the sign bit, one bit.
            mutant[at] = (0, 255, 128, mutant[at] ^ (1 << int(rng.integers(8))), int(rng.integers(256)))[
                int(rng.integers(5))
            ]
        kind = rng.random()
        if kind < 0.15:
            del mutant[int(rng.integers(len(mutant))) :]
        elif kind < 0.25:
            begin, end = sorted(rng.integers(0, len(mutant), 2).tolist())
            mutant[begin:end] = mutant[begin:end] * 2
        elif kind < 0.35:
            # A value's offset or count becomes huge.
            at = 10 + 12 * int(rng.integers(0, 25)) + int(rng.choice([4, 8]))
            mutant[at : at + 4] = int(rng.integers(1 << 30, 1 << 32)).to_bytes(4, "little")
        path.write_bytes(mutant)
        try:
            found = RawFrame.load(path)
        except RawFileError as error:
            refused += 1
            sentences.add(str(error))
        else:
            loaded += 1
            assert found.mosaic.nbytes < 1 << 20
    assert all("m.dng" in sentence and "\n" not in sentence for sentence in sentences)
    assert refused > 1000
    assert loaded > 100
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000, f"{grown} KB"
