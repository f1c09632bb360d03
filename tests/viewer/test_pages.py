"""The list of cases and the names of pages; the list sorts in a browser."""

from __future__ import annotations

import pytest
from helpers.browser import Browser
from helpers.viewed import write_viewed

from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.pages import page_name, write_pages


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


def test_the_list_sorts(files, tmp_path):
    source = CaseFolder(files.output, files.images)
    write_pages(source, source.cases(), tmp_path / "view", progress=False)
    browser = Browser.start(tmp_path / "profile")

    def order() -> list[str]:
        return browser.run("return [...document.querySelectorAll('tbody tr')].map(row => row.dataset.case)")

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


@pytest.mark.parametrize("case", ["BraTS_001", "Müller, Ä.", "a.b-c"])
def test_plain_names_stay(case):
    assert page_name(case) == f"{case}.html"


@pytest.mark.parametrize("case", ["<script>", 'a"b', "x" * 200, "a/b", "é" * 100])
def test_other_names_are_made_plain_and_stay_apart(case):
    name = page_name(case)
    assert not set(name) & set('<>:"/\\|?*') and len(name.encode()) < 160
    assert name != page_name(case + "!")
