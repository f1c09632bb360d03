"""Names of cases that cannot be names of files."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.case_names import problem_of_name


@pytest.mark.parametrize("name", ["001", "Müller, Jörg (2)", "-dash", "ü" * 90, "x" * 180])
def test_good_ones(name):
    assert problem_of_name(name) is None


@pytest.mark.parametrize(
    ("name", "words"), [("x" * 181, "181 bytes"), ("ü" * 91, "182 bytes"), ("a\tb", "U+0009"), ("a\nb", "U+000A")]
)
def test_others(name, words):
    assert words in problem_of_name(name)
