"""How scores are shown."""

from __future__ import annotations

import math

import pytest

from nnunet_hetero.evaluation.scores.score import Score

VOLUME = Score("Volume error", "ml", higher_is_better=False, absolute=True)


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.8125, False, "81.2"),
        (-1e-5, True, "+0.0"),
        (0.05, True, "+5.0"),
        (None, False, "–"),
        (math.nan, True, "–"),
    ],
)
def test_text(value, signed, text):
    assert Score("Dice", "%", 100).text(value, signed) == text


def test_heading():
    assert Score("Dice", "%", 100).heading == "Dice in %"
    assert VOLUME.heading == "Absolute volume error in ml"


def test_in_a_file():
    assert Score.from_json(VOLUME.to_json()) == VOLUME
    with pytest.raises(TypeError):
        Score.from_json({"title": "Dice", "unit": "%", "colour": "red"})
