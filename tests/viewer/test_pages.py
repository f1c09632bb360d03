"""The list of cases and the names of pages; the list sorts in a browser."""

from __future__ import annotations

import json
import re

import pytest
from helpers.looking.browser import Browser
from helpers.looking.viewed import write_viewed

from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.pages import write_pages


@pytest.fixture
def files(tmp_path):
    for case in ("b", "a10", "a9"):
        found = write_viewed(tmp_path, case)
    return found


def test_pages_and_their_list(files, tmp_path):
    source = CaseFolder(files.output, files.images, files.labels)
    assert write_pages(source, source.cases(), tmp_path / "view", progress=False) == {}
    assert sorted(file.name for file in (tmp_path / "view").iterdir()) == [
        "a10.html",
        "a9.html",
        "b.html",
        "index.html",
    ]
    assert (tmp_path / "view" / "index.html").stat().st_size < 3 * 20_000


def test_a_case_that_cannot_be_shown_does_not_stop_the_others(files, tmp_path):
    (files.labels / "a9.nii.gz").unlink()
    source = CaseFolder(files.output, files.images, files.labels)
    failed = write_pages(source, source.cases(), tmp_path / "view", progress=False)
    assert list(failed) == ["a9"] and "true label map" in failed["a9"]
    assert not (tmp_path / "view" / "a9.html").exists() and (tmp_path / "view" / "b.html").exists()


def listed(folder) -> list[str]:
    return re.findall(r'<a href="([^"]*)"><img', (folder / "index.html").read_text(encoding="utf-8"))


def test_one_more_page_leaves_the_others_in_the_list(files, tmp_path):
    source, folder = CaseFolder(files.output, files.images), tmp_path / "view"
    write_pages(source, ["b", "a9"], folder, progress=False)
    before = (folder / "index.html").read_text(encoding="utf-8")
    write_pages(source, ["a10"], folder, progress=False)
    assert listed(folder) == ["a10.html", "a9.html", "b.html"]
    write_pages(source, ["a9"], folder, progress=False)
    assert listed(folder) == ["a10.html", "a9.html", "b.html"]
    rows = [line for line in before.splitlines() if "<tr data-row" in line]
    assert all(row in (folder / "index.html").read_text(encoding="utf-8") for row in rows)


def test_a_page_that_is_gone_is_not_listed(files, tmp_path):
    source, folder = CaseFolder(files.output, files.images), tmp_path / "view"
    write_pages(source, ["b", "a9"], folder, progress=False)
    (folder / "b.html").unlink()
    write_pages(source, ["a10"], folder, progress=False)
    assert listed(folder) == ["a10.html", "a9.html"]


def test_a_case_without_a_page_has_none_of_before(files, tmp_path):
    source, folder = CaseFolder(files.output, files.images), tmp_path / "view"
    write_pages(source, ["b", "a9"], folder, progress=False)
    (files.output / "b.nii.gz").write_bytes(b"damaged")
    assert list(write_pages(source, ["b"], folder, progress=False)) == ["b"]
    assert not (folder / "b.html").exists() and listed(folder) == ["a9.html"]
    (files.output / "a9.nii.gz").write_bytes(b"damaged")
    write_pages(source, ["b", "a9"], folder, progress=False)
    assert list(folder.iterdir()) == []


def test_a_list_that_is_not_ours(files, tmp_path):
    folder = tmp_path / "view"
    folder.mkdir()
    (folder / "index.html").write_text('<tr data-row="{"><td><a href="x"><img src="y"', encoding="utf-8")
    write_pages(CaseFolder(files.output, files.images), ["b"], folder, progress=False)
    assert listed(folder) == ["b.html"]


def test_the_list_sorts(files, tmp_path):
    source = CaseFolder(files.output, files.images)
    write_pages(source, source.cases(), tmp_path / "view", progress=False)
    browser = Browser.start(tmp_path / "profile")

    def order() -> list[str]:
        rows = browser.run("return [...document.querySelectorAll('tbody tr')].map(row => row.dataset.row)")
        return [json.loads(row)["case"] for row in rows]

    def click(column: str) -> None:
        browser.run(f"document.querySelector(`button[data-column='{column}']`).click()")

    try:
        browser.open(tmp_path / "view" / "index.html")
        assert order() == ["a10", "a9", "b"]
        click("case")
        assert order() == ["a9", "a10", "b"]
        click("0")
        # The largest volume first; the phantom's volume is 6 ml and one for each letter of its name.
        assert order() == ["a10", "a9", "b"]
        click("0")
        assert order() == ["b", "a9", "a10"]
        assert browser.requests() == [] and browser.problems() == []
    finally:
        browser.close()
