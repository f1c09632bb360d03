"""The words of a model for what an image can be."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.proposal.verdict import Verdict, Vocabulary
from nnunet_hetero.modalities import Modalities


@pytest.mark.parametrize(
    ("names", "kinds", "expected"),
    [
        (("T1", "T1c", "T2", "FLAIR"), ("FLAIR", "T1"), ("T1", "FLAIR")),
        (("t1n", "T1ce", "T2w", "T2f"), ("T1c", "FLAIR"), ("T1ce", "T2f")),
        (("CT", "SUV"), ("PET", "CT"), ("CT", "SUV")),
        (("T2", "ADC"), ("ADC", "T1"), ("ADC",)),
    ],
)
def test_kinds_by_the_models_names(names, kinds, expected):
    assert Vocabulary(Modalities(names)).names(kinds) == expected


def test_a_kind_that_the_model_lacks():
    """A T2-FLAIR is no T2, though the model has T2 and no FLAIR."""
    words = Vocabulary(Modalities(("T1", "T2")))
    assert words.named("T2-FLAIR") == ["FLAIR"]
    assert words.taken("FLAIR", "sure", "named so") == Verdict("", "sure", "named so; the model has no FLAIR")
    assert words.doubtful(["FLAIR"], "unclear") == Verdict("", "likely", "unclear")
    assert words.doubtful(["FLAIR", "T2"], "unclear") == Verdict("", "doubtful", "unclear", ("T2",))
    assert words.any("unclear").may_be == ("T1", "T2")
