"""What the panel says, in words."""

from __future__ import annotations

import pytest

from nnunet_hetero.viewer.facts import dice_in_words, modalities_in_words, number_in_words, size_in_words


def test_why_modalities_are_absent():
    assert modalities_in_words(["T1"], {"T2": "no file", "T1c": "empty image"}) == [
        ("T1", "used"),
        ("T2", "absent: no file"),
        ("T1c", "absent: its image is empty"),
    ]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("10", "8", "13", "ml", "0.9"), "10 ml (90% interval 8 to 13)"),
        (("10", "8", "13", "ml", "0.999"), "10 ml (99.9% interval 8 to 13)"),
        ((10.0, 8.0, 13.0, "ml"), "10 ml (interval 8 to 13)"),
        (("10", "", "", "mm2", ""), "10 mm²"),
        ((0.0, 0.0, 1.5, "ml"), "0 ml (interval 0 to 1.5)"),
        (("", "", "", "ml", "0.9"), "unknown"),
    ],
)
def test_sizes_from_tables_and_from_python(numbers, words):
    assert size_in_words(*numbers) == words


def test_dice():
    assert dice_in_words("0.91", "0.82", "0.9") == "0.91 (90% sure: at least 0.82)"
    assert dice_in_words(0.91, 0.0) == "0.91 (at least 0)"
    assert dice_in_words(None, None) == "unknown"


def test_three_digits():
    assert number_in_words(1234.5) == "1.23e+03" and number_in_words("0.12345") == "0.123"
