"""What a calibration keeps of each case, ``calibration/collected/CASE.json``: made once, read by all that is fitted."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.io.documents import Document
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.reliability.input_evidence import InputSigns
from nnunet_hetero.reliability.temperature import BINS

COLLECTED = "collected"

NEAR = 10.0
"""mm. Voxels this far from the region or its prediction count as near it. With those inside alone, every low
probability would look wrong: a voxel that is not predicted would be there only if it is in the region."""


class Row(TypedDict):
    """One case, subset and region.

    The fold is its number, or `calibration_file.TOGETHER`. ``true_size`` and ``size`` are in ``unit``, the latter that
    of the segmentation on the network's grid; ``voxel`` is the size of one on the case's own. ``draws_low`` and
    ``draws_high`` are percentiles of the sizes of single draws, which are no interval to rely on; ``size`` of a model
    that draws nothing. What ``disagreement``
    to ``surface`` are says `case_result.Statement`. The Dice is None where region and prediction are empty.
    """

    case: str
    patient: str
    fold: str
    subset: str
    n_modalities: int
    region: str
    unit: str
    voxel: float
    true_size: float
    size: float
    draws_low: float
    draws_high: float
    disagreement: float
    expected_dice: float
    softened_dice: float
    surface: float
    dice: float | None


_Counts = Annotated[list[int], Field(min_length=BINS, max_length=BINS)]
_TwoCounts = Annotated[list[_Counts], Field(min_length=2, max_length=2)]


class Voxels(TypedDict):
    """Voxels by truth and logit, see `temperature.voxel_counts`: near region and prediction, and in the whole brain."""

    near: _TwoCounts
    brain: _TwoCounts


class _MadeFrom(TypedDict):
    made_from: dict[str, Any]


class _Content(_MadeFrom):
    rows: Annotated[list[Row], Field(min_length=1)]
    voxels: dict[str, dict[str, Voxels]]
    input_statistics: NotRequired[InputSigns | None]


_WORDS = ("what a calibration has measured of a case", "It is measured again.")
_MADE_FROM, _RECORD = Document(_MadeFrom, *_WORDS), Document(_Content, *_WORDS)


@dataclass(frozen=True)
class CaseRecord:
    """What is known of one case.

    Args:
        rows: By subset and region.
        voxels: By region and subset.
        input_statistics: What the images look like to the model, see `InputSigns`; None if that was not measured.
    """

    rows: list[Row]
    voxels: dict[str, dict[str, Voxels]]
    input_statistics: InputSigns | None = None

    def write(self, file: Path, made_from: Provenance) -> None:
        """Write the record, with what it was made from."""
        file.parent.mkdir(parents=True, exist_ok=True)
        own = {"rows": self.rows, "voxels": self.voxels, "input_statistics": self.input_statistics}
        replace_json(file, json.loads(json.dumps({"made_from": made_from.to_json(), **own})))

    @classmethod
    def read(cls, file: Path, made_from: Provenance, regions: Collection[str]) -> CaseRecord | None:
        """A record, if it is there and was made from the same; a damaged one is put aside.

        Args:
            file: Where it is.
            made_from: What it would be made from now.
            regions: Names, as the model has them now: they may have been changed since.
        """
        # First: the rows of an earlier version are others, which does not mean that the file is damaged.
        content = _MADE_FROM.or_aside(file)
        if content is None or made_from.difference(Provenance.from_json(content["made_from"])) is not None:
            return None
        content = _RECORD.or_aside(file)
        if content is None or content["voxels"].keys() != set(regions):
            return None
        return cls(content["rows"], content["voxels"], content.get("input_statistics"))


def counts_of(voxels: Voxels, where: str) -> np.ndarray:
    """Counts of voxels ``(2, BINS)``; ``where`` is ``near`` or ``brain``."""
    return np.asarray(voxels["near"] if where == "near" else voxels["brain"])
