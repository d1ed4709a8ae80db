"""A canary key and its tables are planted, and looked for in everything that leaves the program."""

import base64
import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from networks import convert, export_onnx
from networks.checkpoint import write_tensors
from operators import KeyedConv2d
from scrambler import (
    Key,
    Multiplexer,
    ShuffleCamError,
    keyed_permutation,
    keyed_permutations,
    mask_of,
    mask_values,
    open_sealed,
    scheme,
    seal,
)
from scrambler.schemes import AffineScheme
from sensor import Camera, RawFrame, Scene
from shufflecam.cli import main
from shufflecam.commands.open_sealed import open_sealed as open_command
from shufflecam.commands.seal import seal as seal_command
from shufflecam.protected_file import ending, save_protected

SECRET = bytes.fromhex("c0ffee11ca4a7ab1d15ea5edfacefeedb01dface0ddba11c0de0fba5eba11ed5")
KEY, NONCE, SIZE = Key.from_bytes(SECRET), bytes(range(200, 216)), (24, 36)
WINDOW = 8


def tables() -> list[np.ndarray]:
    """Return every table that the canary makes here: readouts by pixels and quads, and layers."""
    permutations = [
        keyed_permutation(KEY, SIZE, NONCE),
        Multiplexer(KEY).permutation(SIZE, NONCE),
        *keyed_permutations(KEY, [(22, 34), (11, 17)], "layers"),
    ]
    return [table for p in permutations for table in (p.source, p.slot)]


def needles() -> Iterator[bytes]:
    """Yield what must not be found: windows of the key, its text forms, its seeds, its masks and its tables."""
    secrets = [
        SECRET,
        KEY.derive("readout", NONCE),
        KEY.derive("mask", NONCE),
        mask_of(KEY, NONCE, (64,), np.uint8).tobytes(),
    ]
    for secret in secrets:
        for text in (secret, secret.hex().encode(), base64.b64encode(secret)):
            yield from (text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1))
    for table in tables():
        for dtype in (np.uint32, np.int64, np.uint16):
            octets, step = table.astype(dtype).tobytes(), np.dtype(dtype).itemsize
            # Entries are small, so wide ones are mostly zeros, as sizes in file headers are: three make a window.
            window = max(WINDOW, 3 * step)
            yield from (octets[i : i + window] for i in range(0, len(octets) - window + 1, step))
        numbers = table.tolist()
        for separator in (", ", " ", ",", "\n"):
            yield from (separator.join(map(str, numbers[i : i + 4])).encode() for i in range(len(numbers) - 4))


NEEDLES: dict[int, set[bytes]] = {}
for _needle in needles():
    NEEDLES.setdefault(len(_needle), set()).add(_needle)


def hits(content: bytes | str) -> list[bytes]:
    """Return the planted windows that some output holds, at any offset."""
    # NumPy prints numbers in columns: one blank between them is enough.
    octets = " ".join(content.split()).encode() if isinstance(content, str) else content
    return [
        octets[i : i + length]
        for length, planted in NEEDLES.items()
        for i in range(len(octets) - length + 1)
        if octets[i : i + length] in planted
    ]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 11 * 17, 3)).eval()


@pytest.fixture
def frame() -> RawFrame:
    scene = Scene.from_array(np.random.default_rng(1).random((*SIZE, 3)))
    return Camera("imx477", multiplexer=Multiplexer(KEY), seed=1).capture(scene, exposure_s=0.01, nonce=NONCE)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    KEY.save(tmp_path / "canary.key")
    return tmp_path / "canary.key"


def test_the_search_finds_what_is_there() -> None:
    p = keyed_permutation(KEY, SIZE, NONCE)
    for planted in (
        b"xyz" + SECRET[5:13] + b"x", SECRET.hex(), repr(SECRET.hex()), base64.b64encode(SECRET),
        str(p.source.tolist()),
        p.slot.astype(np.int64).tobytes()[800:840], b"x" + p.source[:3].tobytes(), str(p.slot[40:60]),
    ):  # fmt: skip
        assert hits(planted)
    assert not hits(bytes(10_000) + np.random.default_rng(1).bytes(100_000) + KEY.id.encode() + NONCE)


def test_the_search_finds_a_networks_tables(network: nn.Module) -> None:
    pool = convert(network, KEY, SIZE).get_submodule("2")
    for table in (pool.slot, pool.source):
        assert isinstance(table, torch.Tensor)
        assert hits(table.numpy().tobytes())


def test_no_repr_or_string_shows_the_key(network: nn.Module, frame: RawFrame, tmp_path: Path) -> None:
    p = keyed_permutation(KEY, SIZE, NONCE)
    image = np.zeros((*SIZE, 3), np.uint8)
    keyed = convert(network, KEY, SIZE)
    seal(tmp_path / "a.sealed", frame.mosaic, KEY)
    shown: list[object] = [
        KEY, p, p.inverse(), Multiplexer(KEY), frame, keyed, keyed.plan, open_sealed(tmp_path / "a.sealed", KEY),
        KeyedConv2d(nn.Conv2d(3, 4, 3), SIZE, p, None),
    ]  # fmt: skip
    for name in ("pixel-shuffle", "shuffle+mask", "chacha20"):
        s = scheme(name, key=KEY)
        shown += [s, s.card, s.protect(image, nonce=NONCE)]
    for each in shown:
        assert not hits(f"{each!r} {each} {[each]}"), type(each)


def test_pickles_are_refused_or_hold_no_secret(network: nn.Module, frame: RawFrame) -> None:
    p = keyed_permutation(KEY, SIZE, NONCE)
    for secret in (
        KEY,
        p,
        Multiplexer(KEY),
        scheme("shuffle+mask", key=KEY),
        convert(network, KEY, SIZE),
        {"a": [KEY]},
    ):
        with pytest.raises(ShuffleCamError):
            pickle.dumps(secret)
        with pytest.raises(ShuffleCamError):
            torch.save(secret, io.BytesIO())
    protected = scheme("shuffle+mask", key=KEY).protect(np.full((*SIZE, 3), 7, np.uint8), nonce=bytes(16))
    for public in (frame, protected):
        assert not hits(pickle.dumps(public))


def test_state_dicts_and_weights_files_hold_no_table(network: nn.Module, tmp_path: Path) -> None:
    keyed = convert(network, KEY, SIZE)
    keyed(torch.rand(1, 3, *SIZE), nonce=[NONCE])
    saved = io.BytesIO()
    torch.save(keyed.state_dict(), saved)
    write_tensors(tmp_path / "w.safetensors", keyed.state_dict(), {"model": "canary"})
    assert not hits(saved.getvalue())
    assert not hits((tmp_path / "w.safetensors").read_bytes())
    for key in (Key.generate(), KEY):
        write_tensors(tmp_path / f"{key.id}.safetensors", convert(network, key, SIZE).state_dict(), {"model": "canary"})
        assert (tmp_path / f"{key.id}.safetensors").read_bytes() == (tmp_path / "w.safetensors").read_bytes()


def test_frames_and_sealed_files_hold_no_secret(frame: RawFrame, tmp_path: Path) -> None:
    frame.save(tmp_path / "a.dng")
    assert not hits((tmp_path / "a.dng").read_bytes())
    seal(tmp_path / "a.sealed", mask_values(frame.mosaic, KEY, bytes(16)), KEY, metadata={"note": "x"})
    assert not hits((tmp_path / "a.sealed").read_bytes())


def test_errors_and_their_tracebacks_hold_no_secret(network: nn.Module, frame: RawFrame, tmp_path: Path) -> None:
    other = Key.generate()
    seal(tmp_path / "a.sealed", frame.mosaic, other)
    (tmp_path / "b.sealed").write_bytes((tmp_path / "a.sealed").read_bytes()[:-1])
    p, keyed = keyed_permutation(KEY, SIZE, NONCE), convert(network, KEY, SIZE)
    s = scheme("shuffle+mask", key=KEY)
    failing: list[Callable[[], object]] = [
        lambda: frame.unshuffle(other),
        lambda: open_sealed(tmp_path / "a.sealed", KEY),
        lambda: open_sealed(tmp_path / "b.sealed", other),
        lambda: p.shuffle(np.zeros(3)),
        lambda: keyed_permutation(KEY, SIZE, nonce=b"short"),
        lambda: s.reveal(np.zeros(SIZE)),
        lambda: keyed(torch.rand(2, 3, *SIZE), nonce=NONCE),
        lambda: keyed(torch.rand(1, 3, 5, 5), nonce=[NONCE]),
        lambda: Key.from_bytes(SECRET[:-1]),
        lambda: Key.from_bytes(SECRET.hex()),  # type: ignore[arg-type]  # on purpose
        lambda: KEY.save(tmp_path / "a.sealed"),
        lambda: mask_values(np.zeros(4), KEY, NONCE),
        lambda: pickle.dumps(KEY),
    ]
    for fail in failing:
        with pytest.raises(ShuffleCamError) as caught:
            fail()
        assert not hits("".join(traceback.format_exception(caught.value)))


def test_commands_print_and_log_no_secret(
    key_file: Path, frame: RawFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    frame.save(tmp_path / "a.dng")
    assert main(["reveal", str(tmp_path / "a.dng"), "--key", str(key_file), "--out", str(tmp_path / "out")]) == 0
    assert main(["reveal", str(tmp_path / "lost.dng"), "--key", str(key_file), "--out", str(tmp_path / "out")]) == 1
    assert main(["keygen", str(key_file)]) == 1
    seal_command([tmp_path / "a.dng"], key_file, tmp_path / "out")
    open_command([tmp_path / "out" / "a.dng.sealed"], key_file, tmp_path / "out")
    captured = capfd.readouterr()
    assert KEY.id in captured.out
    assert not hits(captured.out + captured.err + caplog.text)
    for path in (tmp_path / "out").iterdir():
        assert not hits(path.read_bytes()), path


def affine_tables(name: str) -> Iterator[bytes]:
    """Yield windows of what a network folds of a scheme: places, factors and addends."""
    made = scheme(name, key=KEY)
    assert isinstance(made, AffineScheme)
    table = made.affine_map((*SIZE, 3), NONCE if "fixed_nonce" in made.card.parameters else None)
    _, factor, addend = table.inverse(SIZE)
    for part in (factor, addend, table.slope, table.shift):
        for dtype in (np.float64, np.float32):
            octets, step = np.ascontiguousarray(part, dtype).tobytes(), np.dtype(dtype).itemsize
            # Eight numbers in a row: signs and zeros alone are everywhere.
            windows = {octets[i : i + 8 * step] for i in range(0, len(octets) - 8 * step, step)}
            yield from (one for one in windows if len({one[k : k + step] for k in range(0, 8 * step, step)}) > 1)


@pytest.mark.parametrize("name", ["mat", "negative-positive", "etc"])
def test_networks_that_fold_a_scheme_save_and_say_nothing_of_it(network: nn.Module, tmp_path: Path, name: str) -> None:
    made = scheme(name, key=KEY)
    assert isinstance(made, AffineScheme)
    keyed = convert(network, KEY, SIZE, scheme=made).eval()
    per_image = "fixed_nonce" in made.card.parameters
    protected = made.protect(np.full((1, *SIZE, 3), 9, np.uint8), nonce=[NONCE] if per_image else None)
    before = keyed.read(protected)
    saved = io.BytesIO()
    torch.save(keyed.state_dict(), saved)
    write_tensors(tmp_path / "w.safetensors", keyed.state_dict(), {"model": "canary"})
    left = [saved.getvalue(), (tmp_path / "w.safetensors").read_bytes(), f"{keyed!r} {keyed.plan}".encode()]
    folded = set(affine_tables(name))
    for content in left:
        assert not hits(content)
        assert not any(window in content for window in folded)
    for refuse in (
        lambda: pickle.dumps(keyed),
        lambda: copy.deepcopy(keyed),
        lambda: torch.save(keyed, io.BytesIO()),
        lambda: export_onnx(keyed, tmp_path / "a.onnx"),
        lambda: pickle.dumps(made.affine_map((*SIZE, 3), NONCE)),
        lambda: copy.deepcopy(made.affine_map((*SIZE, 3), NONCE)),
    ):
        with pytest.raises(ShuffleCamError) as caught:
            refuse()
        assert not hits("".join(traceback.format_exception(caught.value)))
    assert torch.equal(keyed.read(protected), before)


class WithNonce(nn.Module):
    """A network whose nonce stays the same, so that exporters see nothing but tensors."""

    def __init__(self, keyed: nn.Module, nonce: list[bytes] | None) -> None:
        super().__init__()
        self.keyed, self.nonce = keyed, nonce

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.keyed(frames, nonce=self.nonce)
        return answer


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_exported_networks_hold_no_secret_or_are_refused(network: nn.Module, tmp_path: Path) -> None:
    keyed = convert(network, KEY, SIZE).eval()
    export_onnx(keyed, tmp_path / "a.onnx")
    assert not hits((tmp_path / "a.onnx").read_bytes())
    frames, made = torch.rand(1, 3, *SIZE), scheme("mat", key=KEY)
    folded = convert(network, KEY, SIZE, scheme=made).eval()
    values = torch.from_numpy(np.moveaxis(np.asarray(made.protect(np.zeros((1, *SIZE, 3), np.uint8))), -1, 1).copy())
    for inner, given, nonce in ((keyed, frames, [NONCE]), (folded, values, None)):
        closed = WithNonce(inner, nonce).eval()
        for export in (torch.export.export, torch.jit.trace):
            with pytest.raises(Exception, match=r"would hold this network's tables|parameter sharing") as caught:
                export(closed, (given,))
            assert not hits("".join(traceback.format_exception(caught.value)))


def test_protected_files_hold_no_secret(tmp_path: Path) -> None:
    for name in ("mat", "negative-positive", "shuffle+mask", "etc"):
        protected = scheme(name, key=KEY).protect(
            np.random.default_rng(2).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        )
        path = tmp_path / f"a{ending(protected.values)}"
        save_protected(path, protected, {}, KEY)
        assert not hits(path.read_bytes())
