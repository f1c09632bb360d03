"""Cases as a converter finds them, and the table of them that it leaves beside the dataset."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from nnunet_hetero.cases.naming.names import split_ending
from nnunet_hetero.cases.naming.spelling import WHERE_ONE, spelled_otherwise
from nnunet_hetero.cases.raw_dataset import CASE_TABLE
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_table

TRAINING, TEST = "train", "test"


@dataclass(frozen=True)
class RawCase:
    """One case as a converter found it.

    Args:
        name: nnU-Net's case identifier.
        images: One file per channel, in channel order; None where the case lacks the modality.
        label: Segmentation, or None.
        problem: Why the case cannot be converted, as far as file names tell; None if they look well.
        volumes: For 4D files, the volume that each channel is in its file, counted from 0; None for 3D files.
        patient: Whom the case is a scan of; None makes it a patient of its own.
        site: Where it was scanned; None if unknown.
        grade: Such as HGG or LGG, or another group that splits should balance; None if unknown.
        test: Whether it is a test case by the raw data's own word; it goes to imagesTs, and its segmentation, if there
            is one, to labelsTs.
    """

    name: str
    images: tuple[Path | None, ...]
    label: Path | None
    problem: str | None = None
    volumes: tuple[int, ...] | None = None
    patient: str | None = None
    site: str | None = None
    grade: str | None = None
    test: bool = False

    def present(self, channel_names: Sequence[str]) -> tuple[str, ...]:
        """Names of the modalities that it has a file of."""
        return tuple(name for name, path in zip(channel_names, self.images, strict=True) if path is not None)

    @property
    def sources(self) -> list[Path]:
        """The files that the case is made of."""
        return [path for path in (*self.images, self.label) if path is not None]


@dataclass(frozen=True)
class CaseRecord:
    """One row of ``cases.csv``: a case as it stands in the dataset.

    Args:
        case: nnU-Net's case identifier.
        patient: Cases with equal entries are scans of one patient; never empty.
        site: Where it was scanned; empty if unknown.
        grade: Tumour grade or other group; empty if unknown.
        subset: ``train`` (imagesTr) or ``test`` (imagesTs).
        modalities: Names of the modalities that it has, in channel order; joined by ``;`` in the file.
    """

    case: str
    patient: str
    site: str
    grade: str
    subset: str
    modalities: tuple[str, ...]


COLUMNS = tuple(field.name for field in fields(CaseRecord))


def write_case_table(records: Iterable[CaseRecord]) -> bytes:
    """Make the content of ``cases.csv``: a row per case, the columns of `CaseRecord`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow(astuple(replace(record, modalities=";".join(record.modalities))))
    return text.getvalue().encode()


def read_case_table(dataset: str | Path) -> list[CaseRecord]:
    """Read ``cases.csv`` of a converted dataset.

    Args:
        dataset: ``$nnUNet_raw/DatasetNNN_Name``.

    Raises:
        DataError: If the table is not there, or lacks columns.
    """
    file = Path(dataset) / CASE_TABLE
    rows = [row for _, row in read_table(file, COLUMNS[0], COLUMNS).rows]
    for name in COLUMNS:
        if rows and name not in rows[0]:
            raise DataError(f"{file} has no column '{name}'; 'nnunet_hetero convert' writes it. Convert again.")
    records = [CaseRecord(*map(row.__getitem__, COLUMNS)) for row in rows]
    return [replace(record, modalities=tuple(record.modalities.split(";"))) for record in records]


def check_names(cases: Sequence[RawCase]) -> None:
    """Refuse names that cannot be file names, and names that stand for two cases.

    Raises:
        DataError: If there is no case, or a name is not valid, is that of a file, or is not unique, also where upper
            and lower case are not told apart.
    """
    if not cases:
        raise DataError("There is no case to convert.")
    counts = Counter(case.name for case in cases)
    alike = spelled_otherwise(counts)
    for name, count in counts.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise DataError(f"The case name '{name}' is not valid; use letters, digits, '_', '-' and '.' only.")
        stem, ending = split_ending(name)
        if ending:
            raise DataError(f"The case name '{name}' is that of a file; give the name alone, as '{stem}'.")
        if count > 1:
            raise DataError(f"{count} cases have the name '{name}'; each case needs a name of its own.")
        if name in alike:
            raise DataError(
                f"The case names '{name}' and '{alike[name]}' differ in upper and lower case alone: {WHERE_ONE}. "
                "Rename one of them, or, if they are one case, join them."
            )


def refuse_shared_files(cases: Sequence[RawCase], channel_names: Sequence[str]) -> list[RawCase]:
    """Give a `problem` to all cases that claim a file which another case, or another modality, claims too."""
    claims: dict[tuple[Path, int | None], list[tuple[str, str]]] = {}
    for case in cases:
        volumes = case.volumes or (None,) * len(case.images)
        for channel, path, volume in zip(channel_names, case.images, volumes, strict=True):
            if path is not None:
                claims.setdefault((Path(os.path.realpath(path)), volume), []).append((case.name, channel))
        if case.label is not None:
            claims.setdefault((Path(os.path.realpath(case.label)), None), []).append((case.name, "segmentation"))
    problems = {}
    for (path, _), claimants in claims.items():
        if len(claimants) > 1:
            who = " and ".join(f"the {role} of {name}" for name, role in claimants)
            for name, _ in claimants:
                problems.setdefault(name, f"{path} is claimed as {who}. A file can stand for one of them only.")
    return [replace(case, problem=case.problem or problems.get(case.name)) for case in cases]
