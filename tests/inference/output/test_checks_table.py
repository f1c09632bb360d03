"""``checks.csv``."""

from __future__ import annotations

from nnunet_hetero.inference.output.checks_table import checks_rows
from nnunet_hetero.reliability.input_verdict import GOOD, SUSPICIOUS, InputVerdict


def test_a_row_for_each_image():
    found = [InputVerdict("T1", GOOD, "", 1.5, 0.4), InputVerdict("T2", SUSPICIOUS, "looks like FLAIR")]
    assert checks_rows(found) == [
        {"modality": "T1", "check": "ok", "looks": "", "likeness": 1.5, "likeness_limit": 0.4},
        {
            "modality": "T2",
            "check": "suspicious",
            "looks": "looks like FLAIR",
            "likeness": None,
            "likeness_limit": None,
        },
    ]
