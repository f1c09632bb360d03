"""The volumes of predicted scans as intervals, at whatever level is needed: made anew from what each fold said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.change.decision import Interval
from nnunet_hetero.inference.output.checks_table import FILE_NAME as CHECKS_NAME
from nnunet_hetero.inference.output.run_record import RUN_NAME
from nnunet_hetero.inference.output.volumes import FILE_NAME as VOLUMES_NAME
from nnunet_hetero.inference.output.volumes import limits_of, plain_name
from nnunet_hetero.io.documents import CsvDocument, Document
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.reliability.calibration_file import FILE_NAME as CALIBRATION_NAME
from nnunet_hetero.reliability.calibration_file import Calibration
from nnunet_hetero.reliability.input_verdict import SUSPICIOUS
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.volume_scale import VolumeScale

_AGAIN = "Predict the cases again."
_Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Statements(TypedDict):
    unit: Literal["ml", "mm2"]
    voxel: _Size
    image: NotRequired[_Size]
    folds: Annotated[list[str], Field(min_length=1)]
    sizes: dict[str, list[_Size]]
    disagreement: dict[str, list[_Size]]


class _Case(TypedDict):
    modalities: NotRequired[list[str]]
    statements: NotRequired[_Statements]
    made_from: NotRequired[dict[str, Any]]


class _Runs(TypedDict):
    cases: dict[str, _Case]


RUNS = Document(_Runs, "the record of what predicted each case", _AGAIN)
VOLUMES = CsvDocument({"case": str, "modalities": str}, "the volumes of the predicted cases", _AGAIN)
CHECKS = CsvDocument({"case": str, "modality": str, "check": str, "looks": str}, "the checks of the images", _AGAIN)


@dataclass(frozen=True)
class Volume:
    """The volume of a region in one scan.

    Args:
        size: Of the segmentation; None if nobody knows.
        interval: Where the true one lies; None if there is none.
        reason: Why there is none; "" if there is one.
    """

    size: float | None
    interval: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class Scans:
    """An output folder of predictions.

    Args:
        folder: Where it is.
        calibration: That of the model that predicted.
        cases: What ``run.json`` says of each.
        sizes: The row of each in ``volumes.csv``.
        checks: The rows of ``checks.csv``; none if it is not there.
    """

    folder: Path
    calibration: Calibration
    cases: Mapping[str, _Case]
    sizes: Mapping[str, Mapping[str, str]]
    checks: Sequence[Mapping[str, str]] = ()

    @classmethod
    def read(cls, folder: Path) -> Scans:
        """Read what is needed of a folder.

        Raises:
            DataError: If it is no output folder of a prediction with a calibrated model.
        """
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder. Give the output folder of a prediction.")
        for name in (RUN_NAME, CALIBRATION_NAME, VOLUMES_NAME):
            if not (folder / name).is_file():
                raise DataError(
                    f"{folder} has no {name}: it is not the output folder of a prediction with a calibrated model. "
                    "Calibrate the model (nnunet_hetero calibrate) and predict the scans with it."
                )
        rows = {row["case"]: row for row in VOLUMES.read(folder / VOLUMES_NAME)}
        calibration = Calibration.read(folder / CALIBRATION_NAME)
        checks = CHECKS.read(folder / CHECKS_NAME) if (folder / CHECKS_NAME).is_file() else ()
        return cls(folder, calibration, RUNS.read(folder / RUN_NAME)["cases"], rows, checks)

    def subset(self, case: str) -> str:
        """Label of the modalities that a case was predicted from."""
        return "+".join(self.cases[case].get("modalities", ()))

    def unit(self, case: str) -> str:
        """Unit of the case's volumes, ``ml`` or ``mm2``; "" if it is not known."""
        entry = self.cases[case]
        return entry["statements"]["unit"] if "statements" in entry else ""

    def folds(self, case: str) -> list[str]:
        """The folds that predicted a case; empty if that is not known."""
        entry = self.cases[case]
        return entry["statements"]["folds"] if "statements" in entry else []

    def images(self, case: str) -> set[str]:
        """Paths of the images that a case was predicted from; empty if that is not known."""
        entry = self.cases[case]
        made_from = Provenance.from_json(entry.get("made_from"))
        if made_from is None:
            return set()
        # Files of absent modalities may be one and the same: an image of zeros.
        used = entry.get("modalities", ())
        return {str(stamp["path"]) for name, stamp in made_from.sources.items() if name in used}

    def suspects(self, case: str) -> list[str]:
        """What the images of a case look like that are not what their names say, e.g. ``T1 looks like T1c``."""
        found = [row for row in self.checks if row["case"] == case and row["check"] == SUSPICIOUS]
        return [f"{row['modality']} {row['looks']}" for row in found]

    def volumes(self, case: str, level: float) -> dict[str, Volume]:
        """The volumes of a case by region.

        Args:
            case: Its name.
            level: 1 - α of each interval.
        """
        unit = self.unit(case)
        sizes = {region: self._size(case, region, unit) for region in self.calibration.regions}
        reason = self._why_none(case)
        if reason:
            return {region: Volume(size, None, reason) for region, size in sizes.items()}
        said = self.cases[case]["statements"]
        use = CalibrationInUse(replace(self.calibration, level=level), tuple(said["folds"]))
        stated = np.array([said["sizes"][region] for region in sizes]).T
        disagreement = np.array([said["disagreement"][region] for region in sizes]).T
        scale = VolumeScale(said["voxel"], said["unit"], said.get("image", math.inf))
        intervals = use.intervals(self.subset(case), stated, disagreement, scale)
        found = {}
        for region, size in sizes.items():
            one = intervals[region]
            low, high = limits_of(one, size) if size is not None else (one.low, one.high)
            interval = None if low is None or high is None else Interval(low, high)
            found[region] = Volume(size, interval, one.reason)
        return found

    def _size(self, case: str, region: str, unit: str) -> float | None:
        text = self.sizes.get(case, {}).get(f"{plain_name(region)}_{unit}", "")
        try:
            size = float(text)
        except ValueError:
            return None
        return size if 0 <= size < math.inf else None

    def _why_none(self, case: str) -> str:
        entry = self.cases[case]
        if "statements" not in entry:
            return "it was predicted without a calibration"
        said = entry["statements"]
        made_from = Provenance.from_json(entry.get("made_from"))
        if made_from is None or made_from.settings.get("calibration") != self.calibration.sha256:
            return f"it was predicted with another calibration than {CALIBRATION_NAME} beside it"
        for of_regions in (said["sizes"], said["disagreement"]):
            if set(of_regions) != set(self.calibration.regions):
                return "it was predicted with other regions than the calibration's"
            if any(len(numbers) != len(said["folds"]) for numbers in of_regions.values()):
                return f"{RUN_NAME} does not say what each fold said of it"
        return ""
