"""Folder jobs: what is kept, what is redone, what is written down, and who does it."""

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from scrambler import Key
from scrambler.files import sweep_temporaries
from shufflecam.inputs import Input, expand
from shufflecam.jobs import MANIFEST, JobError, JobKey, Made, Settings, Work, read_manifest, run_job
from shufflecam.jobs.crews import Report
from shufflecam.jobs.engine import Summary, _Run
from shufflecam.jobs.manifest import Manifest, Record
from shufflecam.jobs.work import Do, Outcome, write_hashed

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "import sys; from shufflecam.cli import main; sys.exit(main())"]


@dataclass(frozen=True, kw_only=True)
class Copy(Work):
    """Copies text; does what a file's text says on the way."""

    tag: str = ""

    verb: ClassVar[str] = "copy"

    def parameters(self) -> dict[str, Any]:
        return {"tag": self.tag}

    def start(self) -> Do:
        def do(item: Input, out: Path) -> Made:
            text = item.path.read_text()
            target = item.output(out, ".copy")
            if text == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if text == "die once" and not target.with_suffix(".died").exists():
                target.with_suffix(".died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if text.startswith("fail"):
                raise ValueError(text)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text + self.tag)
            return Made(target, bytes(16), {"length": len(text)})

        return do


def texts(folder: Path, contents: dict[str, str]) -> list[Input]:
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return expand([folder], frozenset({".txt"}))


def names(summary: Summary) -> list[str]:
    return sorted(record.name for record in summary.done)


def test_a_manifest_line_says_what_became_of_an_input(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {"a.txt": "hello", "deep/b.txt": "fail: no good"})
    summary = run_job(Copy(tag="!"), items, tmp_path / "out")
    assert summary.failures == [f"{tmp_path / 'in/deep/b.txt'}: fail: no good"]
    good, bad = (json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines())
    assert (good["name"], good["input"], good["output"]) == ("a.txt", str(tmp_path / "in/a.txt"), "a.txt.copy")
    assert good["hash"] == hashlib.sha256(b"hello!").hexdigest()
    assert (good["nonce"], good["key_id"], good["parameters"]) == ("00" * 16, None, {"tag": "!"})
    assert (good["facts"], good["error"], good["output_state"][0]) == ({"length": 5}, None, 6)
    assert (bad["name"], bad["output"], bad["hash"]) == ("deep/b.txt", None, None)
    assert bad["error"] == summary.failures[0]
    assert set(good) == set(bad)
    assert not (tmp_path / "out" / "deep").exists()


def test_finished_work_is_kept_and_everything_else_is_done(tmp_path: Path) -> None:
    out, contents = tmp_path / "out", {f"{n}.txt": str(n) for n in range(6)}
    items = texts(tmp_path / "in", contents)
    assert len(run_job(Copy(), items, out).done) == 6
    assert names(run_job(Copy(), items, out)) == []
    (tmp_path / "in/0.txt").write_text("changed")
    (out / "1.txt.copy").unlink()
    (out / "2.txt.copy").write_text("cut")
    again = run_job(Copy(), items, out)
    assert names(again) == ["0.txt", "1.txt", "2.txt"]
    assert sorted(record.name for record in again.kept) == ["3.txt", "4.txt", "5.txt"]
    assert (out / "2.txt.copy").read_text() == "2"
    assert len(run_job(Copy(tag="!"), items, out).done) == 6
    assert names(run_job(Copy(tag="!"), items, out)) == []
    assert len(run_job(Copy(tag="!"), items, out, Settings(overwrite=True)).done) == 6


def test_the_same_names_from_another_folder_are_other_work(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        run_job(Copy(), texts(tmp_path / folder, {"a.txt": folder}), tmp_path / "out")
    assert (tmp_path / "out" / "a.txt.copy").read_text() == "two"


def test_a_copied_output_folder_is_recognised_by_its_hashes(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {"a.txt": "a", "b.txt": "b"})
    run_job(Copy(), items, tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "moved", copy_function=shutil.copyfile)
    (tmp_path / "moved" / "b.txt.copy").write_text("c")
    os.utime(tmp_path / "moved" / "a.txt.copy", ns=(1, 1))
    assert names(run_job(Copy(), items, tmp_path / "moved")) == ["b.txt"]


def test_half_a_line_of_a_killed_job_is_skipped_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {"a.txt": "a", "b.txt": "b"})
    run_job(Copy(), items, tmp_path / "out")
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-40])
    assert names(run_job(Copy(), items, tmp_path / "out")) == ["b.txt"]
    with manifest.open("a") as file:
        file.write('null\n[]\n{"format": "shufflecam-manifest/2"}\n{"format": "shufflecam-manifest/1"}\n\xff\n')
    assert set(read_manifest(tmp_path / "out")) == {"a.txt", "b.txt"}
    assert read_manifest(tmp_path) == {}


def test_outputs_are_named_below_the_folder_however_it_is_given(tmp_path: Path, monkeypatch) -> None:
    items = texts(tmp_path / "in", {"a.txt": "a", "deep/er/b.txt": "b"})
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    for out in (Path(), Path("../out"), tmp_path / "out"):
        summary = run_job(Copy(), items, out, Settings(overwrite=True))
        assert [record.output for record in summary.done] == ["a.txt.copy", "deep/er/b.txt.copy"]
    assert len(run_job(Copy(), items, Path("../out")).kept) == 2


def test_settings_are_kept_once_for_all_records(tmp_path: Path) -> None:
    for tag, names in (("", "ab"), ("!", "cd")):
        run_job(Copy(tag=tag), texts(tmp_path / tag, {f"{name}.txt": name for name in names}), tmp_path / "out")
    a, b, c, d = (record.parameters for record in read_manifest(tmp_path / "out").values())
    assert a is b
    assert c is d
    assert (a, c) == ({"tag": ""}, {"tag": "!"})


class OneByOne:
    """A crew that does nothing with one batch at a time, and may be told to take no more."""

    size = 1

    def __init__(self, happened: list[str], most: int = 99) -> None:
        self.happened, self.most = happened, most
        self.batch: Sequence[Input] = ()

    def free(self) -> int:
        return 0 if self.batch else 1

    def give(self, batch: Sequence[Input]) -> None:
        if self.happened.count("give") == self.most:
            raise JobError("nobody takes more")
        self.happened.append("give")
        self.batch = batch

    def collect(self) -> list[Report]:
        batch, self.batch = self.batch, ()
        return [Report(batch, [Outcome(1.0) for _ in batch])]

    def close(self) -> None:
        pass


def test_workers_get_more_before_what_they_did_is_written_down(tmp_path: Path) -> None:
    happened: list[str] = []

    class Book(Manifest):
        def add(self, records: list[Record]) -> None:
            happened.append("write")
            super().add(records)

    items = texts(tmp_path / "in", {f"{n}.txt": "x" for n in range(3)})
    summary = Summary()
    with Book(tmp_path / "out") as book:
        _Run(Copy(), summary, deque(items), OneByOne(happened), book, None, fail_fast=False).run()
    assert happened == ["give", "give", "write", "give", "write", "write"]
    assert names(summary) == sorted(read_manifest(tmp_path / "out")) == ["0.txt", "1.txt", "2.txt"]


def test_what_is_done_is_written_down_where_no_more_can_be_handed_out(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {f"{n}.txt": "x" for n in range(3)})
    summary = Summary()
    with Manifest(tmp_path / "out") as book:
        _Run(Copy(), summary, deque(items), OneByOne([], most=1), book, None, fail_fast=False).run()
    assert names(summary) == sorted(read_manifest(tmp_path / "out")) == ["0.txt"]
    assert (summary.stopped, len(summary.left)) == ("nobody takes more", 2)


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {"a.txt": "a"})
    summary = run_job(Copy(), items, tmp_path / "out", Settings(dry_run=True))
    assert (summary.left, summary.records) == (items, [])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_fail_fast_stops_at_the_first_failure_and_the_next_run_goes_on(tmp_path: Path, jobs: int) -> None:
    contents = {f"{n:02}.txt": str(n) for n in range(30)} | {"05.txt": "fail"}
    items = texts(tmp_path / "in", contents)
    summary = run_job(Copy(), items, tmp_path / "out", Settings(fail_fast=True, jobs=jobs))
    assert len(summary.failures) == 1
    assert "--fail-fast" in summary.stopped
    assert len(summary.left) + len(summary.records) == 30
    (tmp_path / "in/05.txt").write_text("mended")
    again = run_job(Copy(), items, tmp_path / "out")
    assert (len(again.done) + len(again.kept), again.failures) == (30, [])
    assert len(again.kept) == len(summary.done)


def test_a_worker_that_dies_costs_its_own_input_only(tmp_path: Path) -> None:
    contents = {f"{n:02}.txt": str(n) for n in range(12)} | {"03.txt": "die", "07.txt": "die once"}
    items = texts(tmp_path / "in", contents)
    (tmp_path / "out").mkdir()
    summary = run_job(Copy(), items, tmp_path / "out", Settings(jobs=2))
    assert len(summary.failures) == 1
    assert "03.txt: the worker process was killed by SIGKILL, twice" in summary.failures[0]
    assert len(summary.done) == 11


def test_one_worker_and_several_write_the_same(tmp_path: Path) -> None:
    items = texts(tmp_path / "in", {f"d{n % 3}/{n}.txt": "x" * n for n in range(40)})
    summaries = [run_job(Copy(), items, tmp_path / f"out{jobs}", Settings(jobs=jobs)) for jobs in (1, 3)]
    one, three = ({r.name: (r.output, r.hash, r.facts) for r in s.done} for s in summaries)
    assert one == three
    assert len(one) == 40


def test_a_second_job_on_the_same_folder_is_refused(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "from pathlib import Path; from shufflecam.jobs.manifest import Manifest\n"
        f"kept = Manifest(Path({str(out)!r})); print('locked', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        typed = run("capture", photo.parent, "--key", key_file, "--out", out)
        assert (typed.status, typed.out, typed.err.count("\n")) == (1, "", 1)
        assert "another job" in typed.err
        other.kill()
    assert run("capture", photo.parent, "--key", key_file, "--out", out).status == 0


def test_only_abandoned_temporary_files_of_ours_are_swept(tmp_path: Path) -> None:
    from scrambler.files import atomic_file

    (tmp_path / "deep").mkdir()
    for name in (f".a.dng.{'0f' * 8}.shufflecam-tmp", f".b.{'0' * 16}.tmp", "c.shufflecam-tmp", ".d.tmp"):
        (tmp_path / "deep" / name).touch()
    with atomic_file(tmp_path / "deep" / "live.dng") as file:
        file.write(b"x")
        assert sweep_temporaries(tmp_path) == 1
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [
        f".b.{'0' * 16}.tmp", ".d.tmp", "c.shufflecam-tmp", "live.dng",
    ]  # fmt: skip


def test_seeded_jobs_write_the_same_bits_on_any_number_of_workers(
    run, photo: Path, key_file: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        image = rng.integers(0, 256, (40 + 2 * number, 60, 3), dtype=np.uint8)
        cv2.imwrite(str(photo.parent / f"{number}.png"), image)
    for jobs in (1, 2):
        arguments = ("--key", key_file, "--out", tmp_path / f"out{jobs}", "--seed", 3, "--jobs", jobs)
        assert run("capture", photo.parent, *arguments).status == 0
    found = sorted((tmp_path / "out1").glob("*.dng"))
    assert len(found) == 7
    for path in found:
        assert path.read_bytes() == (tmp_path / "out2" / path.name).read_bytes()


def test_every_verb_resumes(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    shutil.copy(photo, photo.parent / "b.png")
    steps = {
        "frames": ("capture", photo.parent),
        "pictures": ("reveal", tmp_path / "frames"),
        "sealed": ("seal", tmp_path / "frames"),
        "opened": ("open", tmp_path / "sealed"),
        "hidden": ("protect", photo.parent, "--scheme", "pixel-shuffle"),
        "sheets": ("show", tmp_path / "frames"),
        "labels": ("label", tmp_path / "frames"),
    }
    for folder, command in steps.items():
        assert run(*command, "--key", key_file, "--out", tmp_path / folder).status == 0
        records = read_manifest(tmp_path / folder)
        assert len(records) == 2
        assert {record.verb for record in records.values()} == {command[0]}
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / folder).iterdir()}
        again = run(*command, "--key", key_file, "--out", tmp_path / folder)
        assert again.status == 0
        assert command[0] == "label" or "2 finished by an earlier run and kept" in again.out
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / folder).iterdir()} == before
    dry = run("reveal", tmp_path / "frames", "--key", key_file, "--out", tmp_path / "new", "--dry-run")
    assert dry.out.count("would reveal") == 2
    assert not (tmp_path / "new").exists()


def test_videos_become_folders_of_frames(run, key_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "in" / "clip.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(5):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    for verb, ending, more in (("capture", ".dng", ()), ("protect", ".png", ("--scheme", "pixel-shuffle"))):
        out = tmp_path / verb
        assert run(verb, path.parent, "--key", key_file, "--out", out, *more).status == 0
        assert sorted(p.name for p in (out / "clip.avi").iterdir()) == [f"{n:06}{ending}" for n in range(5)]
        assert read_manifest(out)["clip.avi"].facts == {"frames": 5}
        assert "1 finished by" in run(verb, path.parent, "--key", key_file, "--out", out, *more).out
    assert run("reveal", tmp_path / "capture", "--key", key_file, "--out", tmp_path / "shown").status == 0
    shown = cv2.imread(str(tmp_path / "shown" / "clip.avi" / "000002.dng.png"))
    assert abs(float(shown.mean()) - 80) < 3


def test_work_and_its_key_travel_without_the_key(key_file: Path) -> None:
    key = Key.load(key_file)
    travelling = pickle.dumps((Copy(key=JobKey.of(key_file)), [Input(Path("a"), Path("a"))]))
    assert key.to_bytes() not in travelling
    assert key.to_bytes().hex().encode() not in travelling


def test_many_failures_are_counted_by_reason(run, key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(25):
        (tmp_path / "in" / f"{number}.png").write_bytes(b"" if number % 5 else b"text")
    typed = run("capture", tmp_path / "in", "--key", key_file, "--out", tmp_path / "out")
    assert (typed.status, typed.out) == (1, "")
    assert "20 x the file is empty" in typed.err
    assert "25 inputs failed" in typed.err
    assert typed.err.count("\n") < 15


def test_progress_shows_rate_and_time_left_on_a_terminal(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    items = texts(tmp_path / "in", {f"{n}.txt": "x" for n in range(300)})
    screen = io.StringIO()
    run_job(Copy(), items, tmp_path / "out", Settings(jobs=1), Console(file=screen, force_terminal=True, width=120))
    assert "/300" in screen.getvalue()
    assert "/s" in screen.getvalue()
    quiet = io.StringIO()
    run_job(Copy(tag="!"), items, tmp_path / "out", Settings(jobs=1), Console(file=quiet, force_terminal=False))
    assert quiet.getvalue() == ""


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from shufflecam.cli import main, app\n"
        "for verb in [c.name for c in app.registered_commands]: assert main([verb, '--help']) == 0\n"
        "heavy = {'torch', 'numba', 'numpy', 'cv2', 'rawpy', 'matplotlib', 'scipy', 'scrambler', 'distributed'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "[]\n"


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int):
    """Start a scheduler and workers as processes of their own; yield its address and the workers."""
    address_file = folder / "scheduler.json"
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address_file],
        **options,
    )
    started = [scheduler]
    try:
        for _ in range(workers):
            arguments = ["--scheduler-file", address_file, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            started.append(subprocess.Popen([*dask, "worker", *arguments, "--local-directory", folder], **options))
        while not address_file.exists():
            time.sleep(0.05)
        yield json.loads(address_file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_dask_cluster_does_the_job_and_survives_the_loss_of_a_worker(key_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):
        image = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (1600, 1200))
        cv2.imwrite(str(tmp_path / "in" / f"{number}.jpg"), image)
    command = [*PROGRAM, "capture", tmp_path / "in", "--key", key_file, "--seed", "1", "--out"]
    with dask_cluster(tmp_path, 2) as (address, workers):
        job = subprocess.Popen(
            [*command, tmp_path / "out", "--scheduler", address], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while len(list((tmp_path / "out").glob("*.dng"))) < 40:
            assert job.poll() is None, job.communicate()
            time.sleep(0.05)
        workers[0].kill()
        said, complaints = job.communicate()
    assert (job.returncode, complaints) == (0, "")
    assert said.startswith("300 frames")
    assert subprocess.run([*command, tmp_path / "alone", "--jobs", "2"], cwd=ROOT, capture_output=True).returncode == 0
    for path in (tmp_path / "alone").glob("*.dng"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    assert len(list((tmp_path / "out").iterdir())) == 301


def test_a_cluster_that_does_not_answer_is_named(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    code = f"""
import sys, shufflecam.jobs.cluster as c
c._TIMEOUT_S = 1
from shufflecam.cli import main
sys.exit(main(["capture", {str(photo.parent)!r}, "--key", {str(key_file)!r}, "--out", {str(tmp_path / "out")!r},
    "--scheduler", "tcp://127.0.0.1:9"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "127.0.0.1:9" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_manifest_has_the_hash_of_the_file_that_was_written(
    run, photo: Path, key_file: Path, tmp_path: Path
) -> None:
    assert run("capture", photo.parent, "--key", key_file, "--out", tmp_path / "out").status == 0
    content = (tmp_path / "out" / "a.png.dng").read_bytes()
    record = read_manifest(tmp_path / "out")["a.png"]
    assert record.hash == hashlib.sha256(content).hexdigest()
    assert record.output_state[0] == len(content)


def test_an_output_that_cannot_be_written_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot write the file"):
        write_hashed(tmp_path / "new" / "below" / ("n" * 300), [b"x"])
    assert list(tmp_path.iterdir()) == []
