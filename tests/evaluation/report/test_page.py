"""Pictures, and the page that holds them."""

from __future__ import annotations

import re

import pytest
from helpers.looking.browser import Browser
from matplotlib.figure import Figure

from nnunet_hetero.evaluation.report.figures import heat_map
from nnunet_hetero.evaluation.report.page import write_report


class TestReport:
    def test_page_is_complete_and_self_contained(self, summary, tmp_path):
        page = write_report(
            tmp_path / "report.html",
            "Title <b>",
            summary,
            [("All subsets", heat_map(summary))],
            {"nnU-Net": "2.8.1"},
            ["nnUNetv2_train 501"],
            "Introduction.",
        ).read_text(encoding="utf-8")
        for part in ("Title &lt;b&gt;", "Introduction.", "All subsets", "2.8.1", "nnUNetv2_train 501", "mean of all"):
            assert part in page
        assert page.count("<tr") == 1 + 7 + 3 + 1 + 1  # header, subsets, sizes, mean, fact
        assert re.findall(r'src="(?!data:)', page) == []
        assert not re.search(r"https?://|@import|<script|<link", page)

    def test_headlines(self, summary, tmp_path):
        page = write_report(tmp_path / "report.html", "Title", summary).read_text(encoding="utf-8")
        headlines = re.findall(r"<li><b>(.*?)</b><span>(.*?)</span>", page)
        assert headlines == [
            ("65.0", "all modalities"),
            ("25.0", "one modality, mean"),
            ("25.0", "lowest subset (T1)"),
            ("41.7", "mean of 6 subsets"),
        ]
        assert "Pictures" not in page


class TestMoreTables:
    def test_stand_on_the_page_with_their_notes(self, tmp_path, summary):
        tables = [("Volumes", [["case", "ml"], ["a<b", "1.5"]], "A note.")]
        page = write_report(tmp_path / "report.html", "Title", summary, tables=tables).read_text(encoding="utf-8")
        assert "<h2>Volumes</h2>" in page and "A note." in page
        assert "a&lt;b" in page and ">1.5</td>" in page


class TestOnAPhone:
    @pytest.fixture
    def browser(self, tmp_path):
        running = Browser.start(tmp_path / "profile")
        phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        running.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        yield running
        running.close()

    def test_wide_pictures_scroll_and_small_ones_fit(self, browser, summary, tmp_path):
        pictures = [("wide", Figure(figsize=(12, 3))), ("small", Figure(figsize=(4.5, 3)))]
        page = write_report(tmp_path / "report.html", "Title", summary, pictures)
        browser.driver.get(page.as_uri())
        wide, small = browser.run("return [...document.images].map(one => one.clientWidth)")
        assert wide >= 0.75 * 12 * 96 and 300 < small < 390
        assert browser.run("return document.documentElement.scrollWidth") <= 390
        assert browser.problems() == [] and browser.requests() == []
