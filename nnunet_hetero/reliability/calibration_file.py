"""``calibration.json`` in a model's folder: what the model's numbers are worth, measured on cases it has not seen.

The file holds scores of patients without their names, so it can travel with the model. A digest of the content tells a
file that was edited or cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, WrapValidator
from typing_extensions import TypedDict

from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.io.documents import Document, made_of
from nnunet_hetero.reliability.calibration_soundness import ALL_SUBSETS, TOGETHER, flaws
from nnunet_hetero.reliability.input_checks import InputChecks
from nnunet_hetero.reliability.quality import Quality

__all__ = ["ALL_SUBSETS", "CALIBRATION", "FILE_NAME", "TOGETHER", "CalibratedModel", "Calibration", "digest"]

FILE_NAME = "calibration.json"
FORMAT = 1

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Model(TypedDict):
    trainer: str
    plans: str
    weights: dict[str, str]
    num_samples: Count
    mirroring_axes: list[int] | None
    step_size: float


class _Content(TypedDict):
    format_version: Literal[1]
    version: str
    model: _Model
    together: bool
    level: Share
    joint: bool
    by_disagreement: bool
    modalities: list[str]
    patients: Count
    scores: dict[str, dict[str, dict[str, list[Score]]]]
    temperatures: dict[str, dict[str, Positive]]
    quality: Quality | None
    input_checks: InputChecks | None
    sha256: str


def _is_whole(content: Any, fits: Callable[[Any], Any]) -> Any:
    fits(content)
    # Of what was read, with entries that the schema does not know: what somebody added is an edit, too.
    try:
        is_same = content["sha256"] == digest(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not is_same:
        raise ValueError("its content is not what its sha256 says: it was edited, or a part of it is gone")
    for flaw in flaws(content):
        raise ValueError(flaw)
    return content


CALIBRATION = Document(
    Annotated[_Content, WrapValidator(_is_whole)],
    "the calibration of a model",
    "Put back the file that nnunet_hetero calibrate wrote, or calibrate again.",
)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a file's content, without the entry that holds it."""
    others = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(others, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class CalibratedModel:
    """Which model was calibrated, and how it predicted.

    Args:
        trainer: Name of the trainer.
        plans: Digest of the plans.
        weights: Digest of the weights by fold.
        num_samples: Draws of the latents that were asked for.
        mirroring_axes: Axes along which tiles were mirrored; None for none.
        step_size: Of the sliding window, in tiles.
    """

    trainer: str
    plans: str
    weights: dict[str, str]
    num_samples: int
    mirroring_axes: list[int] | None
    step_size: float


Scores = dict[str, dict[str, dict[str, list[float]]]]
"""By region, subset (``T1+FLAIR``) and fold: the score of each patient."""


@dataclass(frozen=True)
class Calibration:
    """Content of the file.

    Args:
        version: Of nnunet_hetero.
        model: Which model was calibrated.
        together: Whether the folds predicted each case together, on a labelled folder; then the scores stand under
            `TOGETHER`, and hold for exactly these folds. Else each predicted its own validation cases.
        level: 1 - α.
        joint: Whether a score is the largest over all regions, so that the intervals hold simultaneously.
        by_disagreement: Whether widths follow the disagreement, see `nnunet_hetero.reliability.volume_scale`.
        modalities: Names, in channel order.
        patients: How many there are.
        scores: See `Scores`; of a patient with several cases it is the largest. Sorted, so that nothing tells patients
            apart.
        temperatures: By region and subset, with `ALL_SUBSETS` for a subset that is not there, see
            `nnunet_hetero.reliability.temperature`.
        quality: What predicts the Dice of a case; None if that was not calibrated.
        input_checks: What good images look like to the model; None if that was not calibrated.
        sha256: Of the content; "" before it is written.
    """

    version: str
    model: CalibratedModel
    together: bool
    level: float
    joint: bool
    by_disagreement: bool
    modalities: list[str]
    patients: int
    scores: Scores
    temperatures: dict[str, dict[str, float]] = field(default_factory=dict)
    quality: Quality | None = None
    input_checks: InputChecks | None = None
    sha256: str = ""

    @property
    def regions(self) -> list[str]:
        """Names of the regions."""
        return list(self.scores)

    def content(self) -> dict[str, Any]:
        """What the file holds, JSON types."""
        content = {"format_version": FORMAT, **asdict(self)}
        return json.loads(json.dumps({**content, "sha256": digest(content)}))

    def write(self, folder: Path) -> Path:
        """Write the file into a model's folder, as a whole, and say where it is."""
        replace_json(folder / FILE_NAME, CALIBRATION.check(self.content(), folder / FILE_NAME))
        return folder / FILE_NAME

    @classmethod
    def read(cls, file: str | os.PathLike) -> Calibration:
        """Content of a file.

        Raises:
            DataError: If it is not there, damaged or edited, or of another version.
        """
        content = CALIBRATION.read(file)
        found = made_of(cls, {**content, "model": made_of(CalibratedModel, content["model"])})
        # Without what a later version knows besides, it is what a copy beside predictions holds.
        return replace(found, sha256=found.content()["sha256"])
