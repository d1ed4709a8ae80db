"""What goes wrong on other people's machines: nothing lost, nothing half-written, one sentence, no traceback."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from scrambler import Key
from sensor import RawFrame
from shufflecam.inputs import PICTURES, expand
from shufflecam.jobs import MANIFEST, read_manifest

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "import sys; from shufflecam.cli import main; sys.exit(main())"]


def picture(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """A smooth colour picture, different for every seed."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.rint(255 * np.stack([x, y, 0.5 + 0.4 * np.sin(9 * x * y + seed)], 2)).astype(np.uint8)


def typed(*arguments: object, limits=None) -> subprocess.CompletedProcess[str]:
    """Type a command into a process of its own; it must never show a traceback."""
    command = [*PROGRAM, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", preexec_fn=limits)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def assert_whole(out: Path, ending: str = ".dng") -> int:
    """Check that a folder holds whole frames and a manifest and nothing else; return how many frames."""
    paths = [path for path in out.rglob("*") if path.is_file() and path.name != MANIFEST]
    for path in paths:
        assert path.name.endswith(ending), path
        RawFrame.load(path)
    return len(paths)


# Images as people have them.


def odd_images(folder: Path) -> None:
    """Write pictures of every odd kind, sound ones in names that begin with ok and others in names with bad."""
    folder.mkdir()
    colour = Image.fromarray(picture())
    colour.save(folder / "ok grey.png.jpg", "JPEG")
    colour.convert("CMYK").save(folder / "ok cmyk.jpg")
    colour.convert("1").save(folder / "ok one bit.png")
    colour.quantize(16).save(folder / "ok palette.png")
    colour.quantize(16).save(folder / "ok palette.gif")
    colour.convert("RGBA").save(folder / "ok alpha.png")
    colour.convert("LA").save(folder / "ok grey alpha.png")
    colour.save(folder / "ok progressive.jpg", progressive=True)
    colour.save(folder / "ok mislabelled.jpg", "PNG")
    colour.save(folder / "ok lossless.webp", lossless=True)
    frames = [Image.fromarray(picture(seed=s)) for s in range(3)]
    for name in ("ok animated.gif", "ok animated.webp", "ok animated.png"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=40)
    tifffile.imwrite(folder / "ok sixteen.tif", picture().astype(np.uint16) * 257, photometric="rgb")
    exif = Image.Exif()
    exif[274] = 6
    colour.save(folder / "ok rotated.jpg", exif=exif)
    (folder / "bad empty.jpg").touch()
    whole = (folder / "ok alpha.png").read_bytes()
    (folder / "bad truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bad text.jpg").write_text("no picture")
    colour.save(folder / "bad picture.dng", "JPEG")
    Image.new("L", (1, 1)).save(folder / "bad one pixel.png")
    Image.new("L", (1, 100_000)).save(folder / "bad narrow.png")
    tifffile.imwrite(folder / "bad float.tif", np.zeros((40, 40), np.float64))


def test_odd_images_are_captured_or_named(run, key_file: Path, tmp_path: Path) -> None:
    odd_images(tmp_path / "in")
    done = run("capture", tmp_path / "in", "--key", key_file, "--out", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    good, bad = [n for n in names if n.startswith("ok")], [n for n in names if n.startswith("bad")]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.dng")) == [f"{n}.dng" for n in good]
    assert (done.status, done.err.count("\n")) == (3, len(bad))
    for name in bad:
        assert done.err.count(f"{name}: ") == 1
    key = Key.load(key_file)
    frames = {n: RawFrame.load(tmp_path / "out" / f"{n}.dng").unshuffle(key) for n in good}
    assert frames["ok rotated.jpg"].shape == (60, 40)
    # The first frame of an animation is the picture that the still file holds.
    still = frames["ok alpha.png"].mosaic.astype(float)
    for name in ("ok animated.webp", "ok animated.png", "ok sixteen.tif", "ok cmyk.jpg", "ok mislabelled.jpg"):
        assert abs(np.mean(frames[name].mosaic - still)) < 60, name


def test_pictures_of_any_proportion_are_protected_and_revealed(run, key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, shape in {"dot": (1, 1), "tall": (100_000, 1), "wide": (1, 100_000)}.items():
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), image)
    arguments = ("--key", key_file, "--out")
    assert run("protect", tmp_path / "in", "--scheme", "pixel-shuffle", *arguments, tmp_path / "out").status == 0
    assert run("reveal", tmp_path / "out", *arguments, tmp_path / "back").status == 0
    for path in (tmp_path / "in").iterdir():
        back = cv2.imread(str(tmp_path / "back" / f"{path.name}.png.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(back, cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def test_names_in_any_script_and_of_any_length(run, key_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / ("ordner " * 20)).mkdir(parents=True)
    names = ["ünï cödé.png", "写真.png", "🐈" * 60 + ".png", "e\u0301.png", "a\nb.png", "%s {x} [red].png", "-dash.png"]
    raw = os.fsdecode(b"latin-\xe9.png")
    for name in (*names, raw, "ordner " * 20 + "/" + "n" * 240 + ".png"):
        Image.fromarray(picture()).save(folder / name, "PNG")
    done = run("capture", folder, "--key", key_file, "--out", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    assert len(list((tmp_path / "out").rglob("*.dng"))) == 9
    assert set(read_manifest(tmp_path / "out")) > {*names, raw}
    (folder / ("n" * 251 + ".png")).write_bytes((folder / names[0]).read_bytes())
    done = run("capture", folder, "--key", key_file, "--out", tmp_path / "out")
    assert (done.status, done.err.count("\n")) == (3, 1)
    assert "too long" in done.err
    table = run("label", tmp_path / "out", "--key", key_file)
    assert "a\\x0ab.png.dng" in table.out


def test_loops_of_links_end_and_every_file_is_taken_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "b").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (tree / "a.png", tree / "b" / "c.png", elsewhere / "d.png", tmp_path / "above.png"):
        path.touch()
    for link, target in {"b/self": ".", "b/up": "..", "top": "../..", "a-twin": "b", "more": elsewhere}.items():
        (tree / link).symlink_to(target, target_is_directory=True)
    (tree / "turn.png").symlink_to("turn.png")
    (tree / "gone.png").symlink_to("nowhere.png")
    (tree / "again.png").symlink_to("a.png")
    found = expand([tree], PICTURES)
    sound = {item.name.as_posix() for item in found if not item.problem}
    assert sound == {"a.png", "b/c.png", "more/d.png"}
    assert {item.name.as_posix() for item in found if item.problem} == {"turn.png", "gone.png"}


def test_links_that_lead_nowhere_and_pipes_are_named(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    (photo.parent / "gone.png").symlink_to("nowhere.png")
    done = run("capture", photo.parent, "--key", key_file, "--out", tmp_path / "out")
    assert (done.status, done.err.count("\n")) == (3, 1)
    assert "gone.png: the link leads nowhere" in done.err
    os.mkfifo(photo.parent / "pipe.png")
    assert run("capture", photo.parent, "--key", key_file, "--out", tmp_path / "two").status == 3
    done = run("capture", photo.parent / "pipe.png", "--key", key_file, "--out", tmp_path / "out")
    assert (done.status, done.err.count("\n")) == (1, 1)


def test_the_output_folder_cannot_be_the_input_folder(run, photo: Path, key_file: Path) -> None:
    done = run("capture", photo.parent, "--key", key_file, "--out", photo.parent)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "output folder" in done.err


def test_an_input_that_vanishes_is_named_and_the_rest_done(run, key_file: Path, tmp_path: Path, monkeypatch) -> None:
    from shufflecam import sources

    (tmp_path / "in").mkdir()
    for number in range(4):
        Image.fromarray(picture(seed=number)).save(tmp_path / "in" / f"{number}.png")
    read = sources.read_scene

    def read_and_remove(path: Path):
        (tmp_path / "in" / "2.png").unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(sources, "read_scene", read_and_remove)
    done = run("capture", tmp_path / "in", "--key", key_file, "--out", tmp_path / "out")
    assert (done.status, done.err.count("\n")) == (3, 1)
    assert "2.png" in done.err
    assert assert_whole(tmp_path / "out") == 3


# Where the outputs go.


@contextlib.contextmanager
def small_disk(folder: Path, octets: int, *options: str) -> Iterator[Path]:
    """Mount a file system of its own, of so many bytes."""
    folder.mkdir()
    choice = ",".join([f"size={octets}", *options])
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", choice, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes an administrator")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_job_and_room_lets_it_go_on(run, key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(30):
        Image.fromarray(picture(100, 150, number)).save(tmp_path / "in" / f"{number}.png")
    with small_disk(tmp_path / "disk", 200_000) as disk:
        arguments = ("capture", tmp_path / "in", "--key", key_file, "--out", disk / "out", "--seed", 1)
        done = run(*arguments)
        assert done.status == 3
        assert "no room" in done.err
        assert done.err.count("\n") <= 2
        # The line in the manifest may be what found no room.
        assert 0 < assert_whole(disk / "out") < 8
        whole = len(read_manifest(disk / "out"))
        subprocess.run(["mount", "-o", "remount,size=10000000", disk], check=True)
        done = run(*arguments)
        assert (done.status, done.err) == (0, "")
        assert f"{whole} finished by an earlier run" in done.out
        assert assert_whole(disk / "out") == 30


def test_a_file_size_limit_is_one_failure_each(key_file: Path, photo: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(400, 600)).save(photo.parent / "large.png")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    # Kernels are compiled first: their cache would not be written under the limit.
    assert typed("capture", photo.parent, "--key", key_file, "--out", tmp_path / "first").returncode == 0
    done = typed("capture", photo.parent, "--key", key_file, "--out", tmp_path / "out", limits=limit)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "large.png" in done.stderr
    assert assert_whole(tmp_path / "out") == 1


def test_a_read_only_output_is_one_sentence(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100_000, "ro") as disk:
        for inputs in (photo, photo.parent):
            done = run("capture", inputs, "--key", key_file, "--out", disk / "out")
            assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
            assert "ead-only" in done.err


# Keys.


def test_missing_unreadable_and_wrong_keys_are_one_sentence(
    run, photo: Path, frame_file: Path, key_file: Path, tmp_path: Path
) -> None:
    Key.generate().save(tmp_path / "other.key")
    shutil.copy(frame_file, frame_file.parent / "b.dng")
    (tmp_path / "broken.key").write_bytes(os.urandom(60))
    (tmp_path / "folder.key").mkdir()
    for key in ("lost.key", "broken.key", "folder.key"):
        done = run("capture", photo.parent, "--key", tmp_path / key, "--out", tmp_path / "out")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert key in done.err
    done = run("reveal", frame_file.parent, "--key", tmp_path / "other.key", "--out", tmp_path / "out")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_key_that_changes_midway_stops_the_job(run, key_file: Path, tmp_path: Path, monkeypatch, change) -> None:
    from shufflecam.jobs import engine

    (tmp_path / "in").mkdir()
    for number in range(12):
        Image.fromarray(picture(seed=number)).save(tmp_path / "in" / f"{number:02}.png")
    first, content = Key.load(key_file).id, key_file.read_bytes()
    other = Key.generate()
    write_down, seen = engine._Run._write_down, []

    def write_down_and_change(self, outcomes) -> None:
        write_down(self, outcomes)
        seen.append(outcomes)
        if len(seen) == 2:
            key_file.unlink()
            if change == "replaced":
                other.save(key_file)

    monkeypatch.setattr(engine._Run, "_write_down", write_down_and_change)
    arguments = ("capture", tmp_path / "in", "--key", key_file, "--out", tmp_path / "out", "--jobs", 1)
    done = run(*arguments)
    assert (done.status, done.err.count("\n")) == (3, 1)
    assert "door.key" in done.err
    assert change == "removed" or (first in done.err and other.id in done.err)
    assert {RawFrame.load(path).key_id for path in (tmp_path / "out").glob("*.dng")} == {first}
    monkeypatch.undo()
    key_file.unlink(missing_ok=True)
    key_file.write_bytes(content)
    key_file.chmod(0o600)
    assert run(*arguments).status == 0
    assert {RawFrame.load(path).key_id for path in (tmp_path / "out").glob("*.dng")} == {first}
    assert assert_whole(tmp_path / "out") == 12


# Killed jobs.


def killed_and_resumed(folder: Path, key_file: Path, images: int, kills: int) -> dict[str, object]:
    """Kill a job at random moments, resume it each time, and compare the end with an undisturbed run.

    The moments are random numbers of outputs, so that every kill comes amid the work, however fast the machine is.
    """
    rng = random.Random(0)
    arguments = ["capture", str(folder / "in"), "--key", str(key_file), "--seed", "7", "--out"]
    temporaries, reached = 0, []

    def outputs() -> int:
        return sum(name.endswith(".dng") for _, _, names in os.walk(folder / "out") for name in names)

    for number, moment in enumerate(sorted(rng.sample(range(images * 9 // 10), kills))):
        command = [*PROGRAM, *arguments, str(folder / "out"), "--jobs", "2"]
        job = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while outputs() <= moment:
            assert job.poll() is None
        time.sleep(rng.uniform(0, 0.02))
        # The job alone, whose workers then end by themselves, and its workers with it, by turns.
        workers = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split() if number % 2 else []
        for process in (job.pid, *map(int, workers)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        time.sleep(0.2)
        temporaries += len(list((folder / "out").rglob("*.shufflecam-tmp")))
        reached.append(outputs())
    assert reached[-1] < images
    done = typed(*arguments, folder / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert typed(*arguments, folder / "undisturbed").returncode == 0
    written = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.dng"))
    assert len(written) == images
    for path in written:
        assert (folder / "out" / path).read_bytes() == (folder / "undisturbed" / path).read_bytes(), path
    assert len([p for p in (folder / "out").rglob("*") if p.is_file()]) == images + 1
    records = read_manifest(folder / "out")
    assert len(records) == images
    assert all(record.error is None for record in records.values())
    return {"temporary files": temporaries, "outputs at the kills": reached}


def test_a_killed_job_goes_on_where_it_stopped(key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        Image.fromarray(picture(100, 140, number)).save(tmp_path / "in" / f"{number}.png")
    killed_and_resumed(tmp_path, key_file, 60, 1)


@pytest.mark.slow
def test_ten_thousand_images_survive_twenty_kills(key_file: Path, tmp_path: Path) -> None:
    for part in range(20):
        (tmp_path / "in" / f"{part:02}").mkdir(parents=True)
    for number in range(10_000):
        image = picture(24, 30 + number % 7, number)
        cv2.imwrite(str(tmp_path / "in" / f"{number % 20:02}" / f"{number}.png"), image)
    print(json.dumps(killed_and_resumed(tmp_path, key_file, 10_000, 20)))


# Damaged files in numbers, and large ones.


@pytest.mark.slow
def test_two_thousand_damaged_files_are_captured_or_named(key_file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    odd_images(tmp_path / "seeds")
    assert typed("capture", tmp_path / "seeds", "--key", key_file, "--out", tmp_path / "frames").returncode == 3
    sound = [*(tmp_path / "seeds").glob("ok*"), *list((tmp_path / "frames").glob("*.dng"))[:6]]
    (tmp_path / "in").mkdir()
    for number in range(2000):
        source = sound[number % len(sound)]
        content = bytearray(source.read_bytes())
        match number // len(sound) % 4:
            case 0:
                del content[int(rng.integers(len(content))) :]
            case 1:
                for place in rng.integers(0, len(content), 1 + number % 30):
                    content[place] ^= 1 << int(rng.integers(8))
            case 2:
                for place in rng.integers(0, min(256, len(content)), 6):  # the header
                    content[place] = int(rng.choice([0, 255, 127, 128]))
            case _:
                at = int(rng.integers(len(content)))
                content[at : at + int(rng.integers(1, 200))] = rng.bytes(int(rng.integers(0, 200)))
        (tmp_path / "in" / f"{number:04}{source.suffix}").write_bytes(content)
    done = typed("capture", tmp_path / "in", "--key", key_file, "--out", tmp_path / "out")
    assert done.returncode == 3
    records = read_manifest(tmp_path / "out")
    assert len(records) == 2000
    failed = [record for record in records.values() if record.error]
    assert assert_whole(tmp_path / "out") == 2000 - len(failed)
    assert all(record.input in record.error and "\n" not in record.error for record in failed)
    print(json.dumps({"captured": 2000 - len(failed), "named": len(failed)}))
    for record in failed:
        if "died" in record.error or "killed" in record.error or "Error:" in record.error:
            print(record.error)


@pytest.mark.slow
def test_a_picture_of_nine_hundred_megapixels_is_refused_in_little_memory(
    key_file: Path, photo: Path, tmp_path: Path
) -> None:
    row = np.packbits(np.ones((1, 30_000), np.uint8), axis=1).tobytes()
    with (photo.parent / "huge.pbm").open("wb") as file:
        file.write(b"P4\n30000 30000\n")
        file.writelines(row for _ in range(30_000))
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(photo.parent / "huge.pbm") as image:
        image.save(photo.parent / "huge.png")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    for verb, more in (("capture", ()), ("protect", ("--scheme", "pixel-shuffle"))):
        done = typed(verb, photo.parent, "--key", key_file, "--out", tmp_path / verb, *more, limits=limit)
        assert (done.returncode, done.stderr.count("\n")) == (3, 2), done.stderr
        for name in ("huge.pbm", "huge.png"):
            assert f"{name}: a picture of 30000 x 30000" in done.stderr
        assert len([p for p in (tmp_path / verb).iterdir() if p.name != MANIFEST]) == 1
