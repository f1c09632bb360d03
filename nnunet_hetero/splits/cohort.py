"""The cases of a raw dataset as splits see them: patient, site, grade, and the modalities that a case lacks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.image_values import absence
from nnunet_hetero.cases.label_maps.unlabelled import unlabelled_cases
from nnunet_hetero.cases.raw_dataset import CASE_TABLE, read_dataset_json
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.tables import read_table
from nnunet_hetero.modalities import Modalities

# Time points in names: BraTS since 2023 ends them in -000, -001, ...; BIDS has ses-LABEL.
DEFAULT_PATIENT = r"(BraTS-[A-Za-z]+-\d+)-\d+|(sub-[A-Za-z0-9]+)_.*"


@dataclass(frozen=True)
class CohortCase:
    """One case.

    Args:
        name: nnU-Net's case identifier.
        patient: Cases of one patient never come into different parts of a fold.
        site: Where it was scanned, or "" if unknown.
        grade: Of the tumour, or "" if unknown.
        missing: Names of the modalities that it lacks.
        labelled: Whether it has a segmentation; without one it is for training alone.
    """

    name: str
    patient: str
    site: str = ""
    grade: str = ""
    missing: tuple[str, ...] = ()
    labelled: bool = True

    def attributes(self) -> list[str]:
        """What folds are balanced by, e.g. ``site CBICA``, ``grade HGG``, and ``without T2`` or ``complete``."""
        known = [f"{what} {value}" for what, value in (("site", self.site), ("grade", self.grade)) if value]
        known += ["unlabelled"] if not self.labelled else []
        return known + ([f"without {name}" for name in self.missing] or ["complete"])


def read_cohort(
    raw: Path, table: Path | None = None, patient_pattern: str | None = None, aside: Sequence[str] = ()
) -> list[CohortCase]:
    """The cases in ``imagesTr``, sorted by name, then those in ``imagesTs`` that are asked for.

    Patients, sites and grades come from the table; a case without a patient there is of the one that its name tells.
    What a case lacks comes from ``missing_modalities`` in ``dataset.json``, or if there is no such entry, from the
    images: a modality is missing without a file, or with one that has one value throughout.

    Args:
        raw: The dataset's folder, ``nnUNet_raw/DATASET``.
        table: CSV with a column ``case``, and any of ``patient``, ``site`` and ``grade``; None takes ``cases.csv`` of
            the dataset if it is there.
        patient_pattern: Regular expression for a whole case name; its first group that matches is the patient, whatever
            ``cases.csv`` says. A name that it does not fit is a patient of its own. None is `DEFAULT_PATIENT`, where
            the table has no patient.
        aside: Names of cases in ``imagesTs``.

    Raises:
        DataError: If the dataset or the table cannot be read, or the table names cases that the dataset does not have.
        SettingsError: If the pattern is no regular expression with a group.
    """
    dataset_json = read_dataset_json(raw)
    modalities = Modalities.from_dataset_json(dataset_json)
    cases = _training_files(raw, dataset_json, modalities)
    if aside:
        held_out = find_cases(raw / "imagesTs", modalities, dataset_json["file_ending"])
        cases += [case for case in held_out if case.name in set(aside)]
    known = dataset_json.get("missing_modalities")
    missing = _missing_on_disk(cases, modalities, dataset_json) if known is None else known
    file = table or raw / CASE_TABLE
    entries = read_table(file, "case", ("patient", "site", "grade")).rows if table or os.path.lexists(file) else []
    rows = {row["case"]: row for _, row in entries}
    if table:
        known_names = {case.name for case in cases}
        unknown = [name for name in rows if name not in known_names]
        if unknown:
            raise DataError(
                f"{table} names {len(unknown)} case(s) that the dataset in {raw} does not have, e.g. '{unknown[0]}'. "
                "Its column 'case' must have nnU-Net's case identifiers."
            )
    pattern = _compiled(patient_pattern or DEFAULT_PATIENT)
    from_names = patient_pattern is not None and table is None
    unlabelled = unlabelled_cases(raw, dataset_json, [case.name for case in cases])
    found = []
    for case in cases:
        row = rows.get(case.name, {})
        patient = _listed_patient("" if from_names else row.get("patient", ""), case.name, pattern)
        gaps = tuple(missing.get(case.name, ()))
        found.append(
            CohortCase(case.name, patient, row.get("site", ""), row.get("grade", ""), gaps, case.name not in unlabelled)
        )
    return found


def doubts_of_patients(names: Sequence[str], table: Path | None, pattern: str | None) -> list[str]:
    """Say for which cases what a user gave of their patients says nothing.

    Args:
        names: nnU-Net's case identifiers.
        table: See `read_cohort`; that of the user.
        pattern: See `read_cohort`; that of the user.

    Raises:
        SettingsError: If the pattern fits none of the names that it is for.
        DataError: If the table cannot be read.
    """
    doubts = []
    if table is not None:
        names = without_row(names, table)
        if names:
            doubts.append(
                f"{table} has no row for {len(names)} case(s), such as {names[0]}: each is of the patient that its "
                "name tells, or one of its own."
            )
    if pattern is not None and names:
        unfit = [name for name in names if not _compiled(pattern).fullmatch(name)]
        if len(unfit) == len(names):
            raise SettingsError(
                f"--patient-pattern '{pattern}' fits no case name, such as '{names[0]}', so scans of one patient would "
                "come into different parts. It must fit the whole name."
            )
        if unfit:
            doubts.append(
                f"--patient-pattern does not fit {len(unfit)} of {len(names)} case names, such as {unfit[0]}: each is "
                "a patient of its own."
            )
    return doubts


def patients_of(names: Sequence[str], table: Path) -> dict[str, str]:
    """Which patient each case is of: as the table says, else as the case's name tells, else one of its own.

    Args:
        names: nnU-Net's case identifiers.
        table: ``cases.csv``; it need not be there.

    Raises:
        DataError: If it is there and cannot be read.
    """
    rows = _listed_cases(table)
    pattern = _compiled(DEFAULT_PATIENT)
    return {name: _listed_patient(rows.get(name, {}).get("patient", ""), name, pattern) for name in names}


def without_row(names: Sequence[str], table: Path) -> list[str]:
    """Cases that a table of patients has no row for, so that nothing but their names tells whose they are.

    Args:
        names: nnU-Net's case identifiers.
        table: ``cases.csv``; none is without a row if it is not there.

    Raises:
        DataError: If it is there and cannot be read.
    """
    rows = _listed_cases(table)
    return [name for name in names if table.is_file() and name not in rows]


def _listed_cases(table: Path) -> dict[str, dict[str, str]]:
    return {row["case"]: row for _, row in read_table(table, "case", ("patient",)).rows} if table.is_file() else {}


def _listed_patient(listed: str, name: str, pattern: re.Pattern) -> str:
    # Converters write the case's name where they do not know the patient.
    return _patient(name, pattern) if listed in ("", name) else listed


def _training_files(raw: Path, dataset_json: dict, modalities: Modalities) -> list[Case]:
    ending = dataset_json["file_ending"]
    if "dataset" not in dataset_json:
        return find_cases(raw / "imagesTr", modalities, ending)
    listed = sorted(dataset_json["dataset"].items())
    images = (entry["images"] for _, entry in listed)
    cases = find_cases([list(map(raw.joinpath, files)) for files in images], modalities, ending)
    return [Case(name, case.files, case.problem) for (name, _), case in zip(listed, cases, strict=True)]


def _missing_on_disk(cases: Sequence[Case], modalities: Modalities, dataset_json: dict) -> dict[str, list[str]]:
    missing = {}
    for case in tqdm(cases, "Looking for missing modalities", unit="case"):
        if case.problem:
            raise DataError(case.problem)
        missing[case.name] = [
            name
            for name, file in zip(modalities.names, case.files, strict=True)
            if file is None or _is_absent(file, case.name, dataset_json)
        ]
    return missing


def _is_absent(file: str, case: str, dataset_json: dict) -> bool:
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    from nnunet_hetero.cases.preprocess import read_image
    from nnunet_hetero.nnunet.model_gate import require_plain_dataset_json

    require_plain_dataset_json(dataset_json, "dataset.json")
    reader = determine_reader_writer_from_dataset_json(dataset_json, file, verbose=False)()
    image, _ = read_image(file, f"Case '{case}': {file}", lambda path: reader.read_images([path]))
    return absence(image) is not None


def _compiled(pattern: str) -> re.Pattern:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(f"--patient-pattern '{pattern}' is no regular expression: {error}. Mend it.") from error
    if not compiled.groups:
        raise SettingsError(f"--patient-pattern '{pattern}' has no group; put the patient's part in parentheses.")
    return compiled


def _patient(name: str, pattern: re.Pattern) -> str:
    match = pattern.fullmatch(name)
    return next((group for group in match.groups() if group), name) if match else name
