"""What is said of a conversion."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.dataset_conversion.writing.cases import CaseRecord
from nnunet_hetero.dataset_conversion.writing.summary import (
    ConversionSummary,
    count,
    nowhere,
    rare_modalities,
    summary_table,
)

CHANNELS = ("T1", "T2")


@pytest.fixture
def summary():
    return ConversionSummary(
        Path("Dataset001_A"),
        CHANNELS,
        [
            CaseRecord("a", "p1", "Ulm", "HGG", "train", CHANNELS),
            CaseRecord("b", "p1", "Ulm", "HGG", "train", ("T1",)),
            CaseRecord("c", "p2", "", "", "test", ("T2",)),
        ],
    )


def test_who_is_where_and_lacks_what(summary):
    assert (summary.training, summary.test) == (["a", "b"], ["c"])
    assert summary.missing_modalities == {"b": ["T2"], "c": ["T1"]}


def test_table(summary):
    lines = summary_table(summary).splitlines()
    assert lines[0].split() == ["site", "training", "test", "patients", "complete", "T1", "T2"]
    assert [line.split() for line in lines[1:4]] == [
        ["Ulm", "2", "0", "1", "1", "2", "1"],
        ["unknown", "0", "1", "1", "0", "0", "1"],
        ["all", "2", "1", "2", "1", "2", "2"],
    ]
    assert "grades: 2 HGG" in lines


def test_modalities_that_few_have(summary):
    (warning,) = rare_modalities(summary)
    assert warning.startswith("only 1 of 2 training cases have T2")
    summary.records = [record for record in summary.records if record.case != "a"]
    assert rare_modalities(summary)[0].startswith("no training case has T2, only test cases")


def test_modalities_that_nobody_has():
    assert nowhere(CHANNELS, [("T1",), ("T2",)]) == ""
    assert nowhere(CHANNELS, [("T1",), ()]).startswith("No case has T2.")
    assert nowhere(CHANNELS, [("T1",)]).endswith("--modalities T1")


def test_count():
    assert (count(1, "case"), count(0, "case")) == ("1 case", "0 cases")
