"""``checks.csv`` beside the predictions: whether each image is what its name says, as far as the model can tell."""

from __future__ import annotations

from collections.abc import Iterable

from nnunet_hetero.inference.output.volumes import Row
from nnunet_hetero.reliability.input_verdict import InputVerdict

FILE_NAME = "checks.csv"


def checks_rows(found: Iterable[InputVerdict]) -> list[Row]:
    """The rows of one case, one for each image: ``modality``, ``check``, ``looks``, ``likeness`` and its ``limit``."""
    return [
        {
            "modality": one.modality,
            "check": one.check,
            "looks": one.looks,
            "likeness": one.likeness,
            "likeness_limit": one.limit,
        }
        for one in found
    ]
