"""The page of a case in a real browser: it opens from the disk, and what it shows is where it is."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from helpers.looking.browser import Browser
from helpers.looking.viewed import SIZE, ball, head, label_map, write, write_viewed

from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.layers import COLOURS, Background
from nnunet_hetero.viewer.page import case_page, write_case_page
from nnunet_hetero.viewer.picture import Picture


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    running = Browser.start(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A case with everything: truth, subsets, a completed image whose real one is known."""
    root = tmp_path_factory.mktemp("case")
    files = write_viewed(root)
    write(files.images / "a_0001.nii.gz", head())
    for subset, labels in (("T1", np.zeros(SIZE, np.uint8)), ("T1+T2", label_map())):
        write(root / "predictions" / subset / "a.nii.gz", labels)
    view = CaseFolder(files.output, files.images, files.labels, root / "predictions").view("a")
    return write_case_page(view, root / "a.html")


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    browser.settle()
    return browser


def coloured(picture: np.ndarray, colour: str) -> np.ndarray:
    """Where a picture has a colour, about."""
    ink = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return np.abs(picture - ink).max(axis=2) < 60


def click(browser: Browser, element: str) -> None:
    browser.run(f"document.querySelector({element!r}).click()")
    browser.settle()


class TestFromTheDisk:
    def test_nothing_is_asked_for_and_nothing_goes_wrong(self, opened):
        opened.press("m")
        assert opened.requests() == [] and opened.problems() == []
        assert opened.run("return document.body.dataset.state") == "ready"

    def test_the_canvas_is_not_blank(self, opened):
        picture = opened.canvas()
        assert (picture.max(axis=2) > 60).mean() > 0.05

    def test_the_first_picture_needs_no_script(self, opened):
        """Slices are painted while the viewer starts, and give way to it."""
        painted = opened.driver.execute_async_script(
            "const done = arguments[0];"
            "const observer = new PerformanceObserver((list) => done(list.getEntries().map((one) => one.renderTime)));"
            "observer.observe({ type: 'element', buffered: true });"
        )
        ready = opened.run("return performance.getEntriesByName('ready')[0].startTime")
        assert len(painted) == 3 and all(0 < time < ready for time in painted)
        assert not opened.run("return document.getElementById('static').checkVisibility()")

    def test_small_and_whole(self, page):
        assert page.stat().st_size < 3_000_000
        assert "https://unpkg" not in page.read_text(encoding="utf-8")


class TestWhatIsShown:
    def test_another_image_changes_the_pixels_and_synthetic_ones_are_marked(self, opened):
        mark = "const m = document.getElementById('mark'); return m.checkVisibility() ? m.textContent : ''"
        names = [button.text for button in opened.driver.find_elements("css selector", "#backgrounds button")]
        assert names == ["T1", "T1c", "T2", "FLAIR", "T1c, completed", "T1c, completed − acquired"]
        before = opened.canvas()
        assert opened.run(mark) == ""
        for _ in range(4):
            opened.press("m")
        assert "SYNTHETIC: T1c" in opened.run(mark)
        opened.press("m")
        assert "DIFFERENCE" in opened.run(mark)
        assert np.abs(opened.canvas() - before).max() > 60
        opened.press("m")
        assert opened.run(mark) == "" and np.abs(opened.canvas() - before).max() < 20

    def test_the_outline_sits_where_the_label_is(self, opened):
        click(opened, "[data-view=axial]")
        opened.run("heteroViewer.viewer.opts.show3Dcrosshair = false; heteroViewer.viewer.setCrosshairWidth(0)")
        opened.settle()
        picture = opened.canvas()
        # The head, without letters and the round corners of the page.
        head_columns = np.flatnonzero((picture.max(axis=2) > 60).sum(axis=0) > 30)
        left, right = head_columns[0], head_columns[-1]
        columns = np.flatnonzero(coloured(picture, COLOURS[0]).any(axis=0))
        inside = np.flatnonzero((head() > 0).any(axis=(1, 2)))
        span = inside[-1] + 1 - inside[0]
        region = np.flatnonzero(ball(7).any(axis=(1, 2)))
        # The patient's left, where x of LPS grows, is on the right of the screen.
        expected = [(region[0] - inside[0]) / span, (region[-1] + 1 - inside[0]) / span]
        found = [(columns[0] - left) / (right + 1 - left), (columns[-1] + 1 - left) / (right + 1 - left)]
        assert found == pytest.approx(expected, abs=0.05)

    def test_the_truth_is_outlined_in_white_where_it_is(self, opened):
        click(opened, "[data-view=axial]")
        opened.run("heteroViewer.viewer.setCrosshairWidth(0)")
        opened.settle()
        picture = opened.canvas()
        predicted = np.argwhere(coloured(picture, COLOURS[0]))
        rows = np.flatnonzero((picture.max(axis=2) > 60).sum(axis=1) > 30)
        voxel = (rows[-1] + 1 - rows[0]) / (head() > 0).any(axis=(0, 2)).sum()
        opened.press("o")
        without = opened.canvas()
        click(opened, "#truth")
        outlined = opened.canvas()
        changed = np.argwhere(np.abs(outlined.astype(int) - without).max(axis=2) > 40)
        assert outlined[tuple(changed.T)].min(axis=1).max() > 200
        # The truth lies two voxels behind the prediction: lower on the screen.
        down, right = changed.mean(axis=0) - predicted.mean(axis=0)
        assert down == pytest.approx(2 * voxel, abs=0.7 * voxel) and abs(right) < 0.7 * voxel
        click(opened, "#truth")
        assert np.abs(opened.canvas().astype(int) - without).max() < 20

    def test_the_other_convention_is_its_mirror(self, opened):
        click(opened, "[data-view=axial]")
        sides = []
        for _ in range(2):
            picture = opened.canvas()
            columns = np.flatnonzero(coloured(picture, COLOURS[0]).any(axis=0))
            sides.append(columns.mean() / picture.shape[1])
            click(opened, "#radiological")
        assert sides[0] > 0.52 and sides[1] == pytest.approx(1 - sides[0], abs=0.03)

    def test_regions_on_and_off(self, opened):
        assert coloured(opened.canvas(), COLOURS[0]).any()
        click(opened, "[data-region='whole tumor']")
        assert not coloured(opened.canvas(), COLOURS[0]).any() and coloured(opened.canvas(), COLOURS[1]).any()
        opened.press("o")
        assert not coloured(opened.canvas(), COLOURS[1]).any()

    def test_filled_regions_cover_more(self, opened):
        outlined = coloured(opened.canvas(), COLOURS[2]).sum()
        opened.run("const o = document.getElementById('opacity'); o.value = 100; o.dispatchEvent(new Event('input'))")
        opened.settle()
        assert coloured(opened.canvas(), COLOURS[2]).sum() > 1.2 * outlined

    def test_a_subset_shows_what_the_model_would_say(self, opened):
        opened.press("s")
        assert opened.driver.find_element("id", "subset-name").text == "T1"
        assert not coloured(opened.canvas(), COLOURS[0]).any()
        opened.press("s")
        assert coloured(opened.canvas(), COLOURS[0]).any()

    def test_a_map_has_a_bar_in_nats(self, opened):
        opened.run(
            "const m = document.getElementById('maps'); m.selectedIndex = 1; m.dispatchEvent(new Event('change'))"
        )
        opened.settle()
        assert "0.69 nats" in opened.driver.find_element("id", "scale").text

    def test_pictures_are_large_on_a_phone(self, browser, page):
        before = browser.driver.get_window_size()
        browser.driver.set_window_size(420, 900)
        try:
            browser.open(page)
            height, width = browser.canvas().shape[:2]
            assert height > 0.5 * browser.run("return innerHeight") and width > 0.9 * browser.run("return innerWidth")
            for _ in range(4):
                browser.press("m")
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
            # The whole mark of a completed image stays in sight as long as the image does.
            browser.run("scrollTo(0, innerHeight / 2)")
            box = browser.run("return document.getElementById('mark').getBoundingClientRect().toJSON()")
            assert box["height"] > 0 and box["top"] >= 0 and 0 <= box["left"] <= box["right"] <= 420
        finally:
            browser.driver.set_window_size(before["width"], before["height"])


class TestValues:
    def table(self, browser) -> dict[str, str]:
        rows = browser.run(
            "return [...document.querySelectorAll('#readout tr')].map(r => [...r.cells].map(c => c.textContent))"
        )
        return dict(rows)

    def test_at_the_start(self, opened):
        table = self.table(opened)
        voxel = tuple(int(word) for word in table["voxel"].split(", "))
        assert label_map()[voxel] > 0 and "whole tumor" in table["segmented as"]

    @pytest.mark.parametrize("voxel", [(28, 16, 14), (10, 20, 14), (33, 30, 20)])
    def test_anywhere(self, opened, voxel):
        """What is read at a place is what the files have there."""
        lps = [-30 + 1.5 * voxel[0], -33 + 1.5 * voxel[1], -32 + 2.0 * voxel[2]]
        opened.run(
            f"const v = heteroViewer.viewer; v.scene.crosshairPos = v.mm2frac([{-lps[0]}, {-lps[1]}, {lps[2]}]);"
            "v.drawScene(); v.createOnLocationChange()"
        )
        opened.wait(f"document.getElementById('readout').textContent.includes('{', '.join(map(str, voxel))}')")
        table = self.table(opened)
        assert float(table["FLAIR"]) == pytest.approx(head()[voxel] + 3 * (head()[voxel] > 0), abs=3)
        assert float(table["T1c, completed"]) == pytest.approx(2 * head()[voxel], abs=6)
        assert float(table["entropy, whole tumor"]) == pytest.approx(0.5 * ball(9)[voxel], abs=0.01)
        assert ("enhancing tumor" in table["segmented as"]) == bool(ball(3)[voxel])

    def test_arrows_move_one_slice(self, opened):
        before = self.table(opened)["voxel"].split(", ")
        opened.press("ArrowUp")
        after = self.table(opened)["voxel"].split(", ")
        assert after[:2] == before[:2] and int(after[2]) == int(before[2]) + 1


class TestOddCases:
    def test_names_do_no_harm(self, browser, tmp_path):
        files = write_viewed(tmp_path)
        view = CaseFolder(files.output, files.images).view("a")
        name = "<script>alert(1)</script>\"'ü&</script>" + "x" * 160
        written = write_case_page(dataclasses.replace(view, case=name), tmp_path / "page.html")
        browser.open(written)
        assert browser.run("return document.querySelector('h1').textContent") == name
        assert browser.problems() == []

    def test_one_slice(self, browser, tmp_path):
        files = write_viewed(tmp_path)
        view = CaseFolder(files.output, files.images).view("a")
        flat = view.cropped((slice(0, SIZE[0]), slice(0, SIZE[1]), slice(14, 15)))
        browser.open(write_case_page(flat, tmp_path / "page.html"))
        buttons = browser.run("return [...document.querySelectorAll('#views button')].map(b => b.textContent)")
        assert buttons == ["axial"] and (browser.canvas().max(axis=2) > 60).mean() > 0.05

    @pytest.mark.parametrize("number", [1, 12])
    def test_number_of_modalities(self, browser, tmp_path, number):
        files = write_viewed(tmp_path)
        view = CaseFolder(files.output, files.images).view("a")
        picture = view.backgrounds[0].picture
        images = [
            Background(f"modality {place}", "image", Picture(picture.data + place, picture.affine))
            for place in range(number)
        ]
        browser.open(write_case_page(dataclasses.replace(view, backgrounds=images), tmp_path / "page.html"))
        assert len(browser.driver.find_elements("css selector", "#backgrounds button")) == number
        assert browser.problems() == []

    def test_without_webgl_there_are_slices(self, page, tmp_path):
        blind = Browser.start(tmp_path / "profile", "--disable-3d-apis")
        try:
            blind.open(page)
            assert blind.run("return document.body.dataset.state") == "static"
            assert "no WebGL 2" in blind.driver.find_element("id", "error").text
            images = blind.driver.find_elements("css selector", "#static img")
            assert len(images) == 3 and all(image.is_displayed() for image in images)
        finally:
            blind.close()

    def test_full_pages_have_the_whole_grid(self, tmp_path):
        files = write_viewed(tmp_path)
        view = CaseFolder(files.output, files.images).view("a")
        assert len(case_page(view, full=True)) > len(case_page(view))
        shutil.rmtree(tmp_path)
