"""From findings to the one explanation that is told."""

from __future__ import annotations

import pytest

from nnunet_hetero.reliability.input_checks import Finding
from nnunet_hetero.reliability.input_evidence import Statement
from nnunet_hetero.reliability.input_verdict import GOOD, NOT_CHECKED, SUSPICIOUS, InputVerdict, verdicts, warning

MOVED = {"completed": [1.0], "mirrored": [0.0], "moved": {"in_place": 0.1, "elsewhere": 0.9, "distance": 11.6}}
SIGNS = {"explained": {"FLAIR": {"T1": MOVED, "T2": MOVED}}, "contrast": {}, "posterior": {}}


def finding(kind, modality, other="", margin=-1.0, limit=0.0):
    return Finding(Statement(kind, modality, other), "FLAIR", margin, limit, 0.5)


def told(*findings):
    found = verdicts(findings, SIGNS, ["T1", "T2"])
    return {one.modality: one.looks for one in found if one.check == SUSPICIOUS}


@pytest.mark.parametrize(
    ("kind", "other", "words"),
    [
        ("is", "T1c", "looks like T1c"),
        ("mirrored", "0+2", "looks mirrored along axis 0 and 2 of the network's grid, or turned"),
        ("moved", "", "looks moved by 12 mm against the others"),
        ("inverted", "", "looks inverted: bright is dark"),
        ("unlike", "", "does not fit the other images"),
        ("odd", "", "does not look like an image of its kind in the training"),
    ],
)
def test_words(kind, other, words):
    assert told(finding(kind, "T2", other)) == {"T2": words}


def test_an_exchange_explains_what_follows_from_it():
    mutual = finding("is", "T1", "T2"), finding("is", "T2", "T1")
    assert told(finding("swapped", "T1", "T2"), *mutual, finding("mirrored", "T2", "1", -9.0)) == {
        "T1": "looks like T2 (exchanged with it)",
        "T2": "looks like T1 (exchanged with it)",
    }


def test_an_image_that_is_there_twice_is_no_exchange():
    """T1 looks like T2, but T2 looks like itself."""
    other = finding("is", "T1", "T2"), finding("is", "T2", "T1", margin=2.0)
    assert told(finding("swapped", "T1", "T2", -0.1), *other) == {"T1": "looks like T2"}


def test_numbers_and_what_was_not_checked():
    found = verdicts([finding("unlike", "T1", margin=1.2, limit=0.4)], SIGNS, ["T1", "T2"])
    assert found == [InputVerdict("T1", GOOD, "", 1.2, 0.4), InputVerdict("T2", NOT_CHECKED)]


def test_the_warning_names_case_and_modality():
    wrong = InputVerdict("T2", SUSPICIOUS, "looks like FLAIR")
    assert (
        warning("Ann", [wrong, InputVerdict("T1", GOOD)]) == "Case 'Ann': the input may be wrong: T2 looks like FLAIR."
    )
    assert warning("Ann", [InputVerdict("T1", GOOD)]) == ""
