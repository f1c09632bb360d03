"""What is said of gaps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnunet_hetero.fill_gaps.table import gaps_in_words
from nnunet_hetero.modalities import Modalities


@pytest.fixture
def gaps():
    cohort = SimpleNamespace(folder="Dataset001_A", modalities=Modalities(("T1", "T2")))
    missing = {"b": ["T1", "T2"], "c": ["T2"], "d": ["T2"]}
    return SimpleNamespace(cohort=cohort, cases=list("abcd"), missing=missing, written=4, warnings=["Look at d."])


def test_who_has_what_and_what_is_missing_together(gaps):
    lines = gaps_in_words(gaps, dry_run=False).splitlines()
    assert lines[0] == "Dataset001_A: 4 case(s), 3 of them with gaps; 4 all-zero volume(s) written."
    rows = [line.split() for line in lines]
    assert ["T1", "3", "1"] in rows and ["T2", "1", "3"] in rows
    assert ["T2", "2"] in rows and ["T1+T2", "1"] in rows
    assert lines[-1] == "warning: Look at d."


def test_dry_run_and_no_gaps(gaps):
    gaps.missing, gaps.written = {}, 0
    text = gaps_in_words(gaps, dry_run=True)
    assert "0 all-zero volume(s) would be written" in text and "missing together" not in text
