"""Reports: what they say, what they leave out, and that a real browser shows them."""

import base64
import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scrambler import Key
from shufflecam.cli import main
from shufflecam.figures import psnr_db
from shufflecam.jobs import read_manifest
from shufflecam.report import ViewReader, find_jobs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def said(page: Path) -> dict[str, Any]:
    """Return the data inside a report."""
    island = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert island is not None
    return json.loads(island[1])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four jobs on three pictures, one of which is damaged, and a figure."""
    base = tmp_path_factory.mktemp("base")
    folder, photos, key = base / "study", base / "photos", base / "door.key"
    Key.generate().save(key)
    photos.mkdir()
    y, x = np.mgrid[:60, :84] / 84.0
    picture = np.rint(255 * np.stack([x, y, 0.5 + 0.4 * np.sin(9 * x * y)], 2)).astype(np.uint8)
    assert cv2.imwrite(str(photos / "a.png"), picture)
    shutil.copy(photos / "a.png", photos / "b <i>&amp; $x$ \N{CJK UNIFIED IDEOGRAPH-4E2D}.png")
    (photos / "c<script>alert(1)<.png").write_bytes(b"no picture")
    for status, *arguments in (
        (3, "capture", photos, "--key", key, "--out", folder / "frames"),
        (0, "reveal", folder / "frames", "--key", key, "--out", folder / "pictures"),
        (0, "label", folder / "frames", "--key", key, "--out", folder / "labels"),
        (3, "protect", photos, "--scheme", "etc", "--key", key, "--out", folder / "etc"),
        (0, "show", photos / "a.png", "--kind", "mosaic", "--out", folder / "figure.svg"),
    ):
        assert main([str(argument) for argument in arguments]) == status
    return folder


@pytest.fixture
def study_key(study: Path) -> Path:
    """The key file of the study."""
    return study.parent / "door.key"


def test_a_report_holds_every_input_its_numbers_and_no_key(run, study: Path, study_key: Path) -> None:
    typed = run("report", study, "--key", study_key)
    assert typed.status == 0
    assert "10 inputs of 4 jobs, 2 of them failed; 8 in the viewer" in typed.out
    page = said(study / "report.html")
    assert {job["name"] for job in page["jobs"]} == {"frames", "pictures", "labels", "etc"}
    rows = {(row["job"], row["name"]): row for row in page["rows"]}
    assert rows["frames", "c<script>alert(1)<.png"]["error"]
    photo = rows["frames", "a.png"]
    assert photo["protected_ssim"] < 0.2 < 0.8 < photo["revealed_ssim"]
    assert abs(photo["protected_neighbours"]) < 0.2 < 0.9 < photo["plain_neighbours"]
    assert rows["etc", "a.png"]["revealed_psnr_db"] == "Infinity"
    assert rows["labels", "a.png.dng"]["label"]
    # The chain of manifests finds the photograph that a revealed picture came from.
    assert rows["pictures", "a.png.dng"]["plain_entropy_bits"] == photo["plain_entropy_bits"]
    assert [figure["name"] for figure in page["figures"]] == ["figure.svg"]
    content, key = (study / "report.html").read_bytes(), Key.load(study_key)
    for secret in (key.to_bytes(), key.to_bytes().hex().encode(), base64.b64encode(key.to_bytes())):
        assert secret not in content
    assert str(study.parent).encode() not in content
    assert len(re.findall(rb"<script", content)) == 2


def test_pictures_of_a_view_are_those_of_the_program(study: Path, study_key: Path, tmp_path: Path) -> None:
    jobs = {job.name: job for job in find_jobs(study)}
    record, photo = read_manifest(study / "frames")["a.png"], study.parent / "photos" / "a.png"
    with_key = ViewReader(Key.load(study_key)).read(jobs["frames"], record)
    np.testing.assert_array_equal(with_key.plain, cv2.imread(str(photo))[:, :, ::-1])
    revealed = cv2.imread(str(study / "pictures" / "a.png.dng.png"))[:, :, ::-1]
    np.testing.assert_array_equal(with_key.revealed, revealed)
    assert with_key.metrics["revealed_psnr_db"] == pytest.approx(psnr_db(with_key.plain, revealed))
    without = ViewReader(None).read(jobs["frames"], record)
    assert without.revealed is None
    assert without.notes == ["a.png.dng: revealed only with the key"]
    record = dataclasses.replace(record, input=str(tmp_path / "gone.png"), output="gone.dng")
    gone = ViewReader(None).read(jobs["frames"], record)
    assert gone.plain is gone.protected is None
    assert gone.metrics == {}
    assert all("No such file" in note and "/" not in note for note in gone.notes)


def test_without_pictures_a_report_is_small_and_shows_nothing_plain(run, study: Path, tmp_path: Path) -> None:
    assert run("report", study / "labels", "--most", 0, "--out", tmp_path / "new" / "r.html").status == 0
    page = said(tmp_path / "new" / "r.html")
    assert (page["views"], page["secret"], len(page["rows"])) == ([], False, 2)


def test_a_report_refuses_in_one_sentence(run, study: Path, tmp_path: Path) -> None:
    Key.generate().save(tmp_path / "other.key")
    for arguments, why in {
        (study.parent / "photos",): "holds no manifest.jsonl",
        (tmp_path / "nothing",): "is no folder",
        (study, "--out", tmp_path / "r.pdf"): "ends in .html",
        (study / "frames", "--key", tmp_path / "other.key", "--out", tmp_path / "r.html"): "opens none of these",
    }.items():
        typed = run("report", *arguments)
        assert (typed.status, typed.err.count("\n")) == (1, 1)
        assert why in typed.err
    assert not list(tmp_path.glob("r.*"))


def test_sealed_files_and_videos_have_views(run, study: Path, study_key: Path, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (40, 24))
    for grey in (40, 90):
        writer.write(np.full((24, 40, 3), grey, np.uint8))
    writer.release()
    both = ("--key", study_key, "--out")
    more = tmp_path / "more"
    assert run("seal", study / "frames", *both, more / "sealed").status == 0
    assert run("capture", tmp_path / "clip.avi", study.parent / "photos" / "a.png", *both, more / "video").status == 0
    reader = ViewReader(Key.load(study_key))
    jobs = {job.name: job for job in find_jobs(more)}
    sealed = reader.read(jobs["sealed"], jobs["sealed"].records[0])
    np.testing.assert_array_equal(sealed.revealed, cv2.imread(str(study / "pictures" / "a.png.dng.png"))[:, :, ::-1])
    assert "protected_entropy_bits" in sealed.metrics
    video = next(record for record in jobs["video"].records if record.name == "clip.avi")
    views = reader.read(jobs["video"], video)
    assert views.plain.shape == views.revealed.shape == (24, 40, 3)


@pytest.fixture
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.browser
def test_a_browser_shows_slides_zooms_and_sorts_and_asks_nobody(
    run, study: Path, study_key: Path, browser: Any, tmp_path: Path
) -> None:
    assert run("report", study, "--key", study_key).status == 0
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: complaints.append("a dialog"))
    address = (study / "report.html").as_uri()
    page.goto(address)

    assert page.inner_text("h1") == "ShuffleCam report: study"
    assert page.locator("#secret").is_visible()
    assert page.locator(".job").count() == 4
    assert page.locator("#inputs tbody tr").count() == 10
    widths = page.eval_on_selector_all("img", "all => all.map(one => one.complete ? one.naturalWidth : 0)")
    assert len(widths) >= 4
    assert min(widths) > 0

    def shares() -> list[str]:
        return page.eval_on_selector_all(".stage [data-layer]", "all => all.map(one => one.dataset.share)")

    assert shares() == ["100", "100", "0"]
    seen = page.locator(".stage").screenshot()
    page.focus("#slider")
    page.keyboard.press("Home")
    assert shares() == ["100", "0", "0"]
    assert page.locator(".stage").screenshot() != seen
    page.keyboard.press("End")
    assert shares() == ["100", "100", "100"]

    page.locator(".stage").hover()
    page.mouse.wheel(0, -400)
    page.wait_for_function("document.getElementById('zoom').textContent !== '1 x'")
    page.check("#beside")
    assert page.locator(".stage").count() == 3
    moved = page.eval_on_selector_all(".moved", "all => all.map(one => one.style.transform)")
    assert len(set(moved)) == 1
    assert "scale(1.25)" in moved[0]
    page.click("#later")
    assert page.input_value("#choice") == "1"

    def column(name: str) -> list[str]:
        place = page.eval_on_selector_all("#inputs th", "all => all.map(one => one.dataset.name)").index(name)
        return page.eval_on_selector_all("#inputs tbody tr", f"all => all.map(one => one.cells[{place}].textContent)")

    assert column("name") == sorted(column("name"))
    page.click("#inputs th[data-name=protected_ssim] button")
    upward = [float(text) for text in column("protected_ssim") if text]
    assert len(upward) == 8
    assert upward == sorted(upward)
    page.click("#inputs th[data-name=protected_ssim] button")
    assert [float(text) for text in column("protected_ssim") if text] == upward[::-1]
    assert page.get_attribute("#inputs th[data-name=protected_ssim]", "aria-sort") == "descending"
    page.fill("#filter", "a.png")
    assert page.locator("#inputs tbody tr").count() == 4
    page.locator("#inputs tbody tr").nth(2).click()
    assert page.locator("tr.chosen").count() == 1

    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
