"""Make the splits of a dataset: from its cases to the files that nnU-Net and the evaluation read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnunet_hetero.cases.raw_dataset import read_dataset_json
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities

from .cohort import CohortCase, doubts_of_patients, read_cohort
from .published import read_published_fold
from .record import RECORD, SPLITS, refuse_existing, write_splits
from .schemes import PAPER_REPEATS, Fold, k_folds, paper_folds
from .table import describe_folds, unsupervised_modalities
from .test_set import move_test_cases, moved_cases, put_aside_cases, undo_move

SCHEMES = ("kfold", "paper", "import")
# Of nnU-Net's planning; from its beginning on, every case in imagesTr has been looked at.
_PLANNED = "dataset_fingerprint.json"


@dataclass(frozen=True)
class SplitOptions:
    """How to divide a dataset.

    Args:
        scheme: One of `SCHEMES`.
        folds: Number of folds of ``kfold``.
        test: Share of the test cases of ``kfold``.
        repeats: Number of folds of ``paper``.
        seed: Of ``kfold`` and ``paper``.
        tables: CSV files of ``import``, one per fold.
        names: Second table of ``import``, what each subject is called in the dataset.
        table: CSV of patients, sites and grades; None takes that of the dataset.
        patient_pattern: Regular expression that finds the patient in a case name, see `read_cohort`.
        grouped: Whether all scans of a patient stay together.
        keep_test: Leave test cases in ``imagesTr``, though they could be moved.
    """

    scheme: str = "kfold"
    folds: int = 5
    test: float = 0.0
    repeats: int = PAPER_REPEATS
    seed: int = 0
    tables: Sequence[Path] = ()
    names: Path | None = None
    table: Path | None = None
    patient_pattern: str | None = None
    grouped: bool = True
    keep_test: bool = False


@dataclass
class Splits:
    """Folds that are ready to be written.

    Args:
        raw: ``nnUNet_raw/DATASET``.
        preprocessed: ``nnUNet_preprocessed/DATASET``.
        folds: The folds.
        to_move: Test cases that are to leave ``imagesTr``.
        test_is_moved: Whether all test cases are then outside of ``imagesTr``.
        table: Cases of each kind in each part.
        notes: What the user should know.
        origin: How the folds came about.
    """

    raw: Path
    preprocessed: Path
    folds: list[Fold]
    to_move: list[str]
    test_is_moved: bool
    table: str
    notes: list[str] = field(default_factory=list)
    origin: dict = field(default_factory=dict)

    def write(self) -> None:
        """Move the test cases and write the files."""
        if self.to_move:
            move_test_cases(self.raw, self.to_move)
        write_splits(self.preprocessed, self.folds, self.test_is_moved, self.origin)


def plan_splits(raw: Path, preprocessed: Path, options: SplitOptions, overwrite: bool = False) -> Splits:
    """Divide a dataset; nothing is written yet.

    Args:
        raw: ``nnUNet_raw/DATASET``.
        preprocessed: ``nnUNet_preprocessed/DATASET``, which may not be there.
        options: How.
        overwrite: Whether splits that are there may be replaced.

    Raises:
        SettingsError: If there are splits already, the options do not fit, or nnU-Net has planned the dataset with
            cases that are to be moved out of its sight.
        DataError: If the dataset or a table is not what it must be.
    """
    if not overwrite:
        refuse_existing(preprocessed)
    moved, aside = moved_cases(raw), put_aside_cases(raw)
    if moved and (options.scheme != "kfold" or options.test):
        raise SettingsError(
            f"{len(moved)} test cases of earlier splits are in imagesTs. Bring them back with --undo before you draw "
            "or import others; 'kfold' without --test makes new folds of the rest."
        )
    if aside and options.test:
        raise SettingsError(
            f"The dataset has {len(aside)} test cases already, in imagesTs and labelsTs. Leave --test out; they are "
            "the test set."
        )
    everyone = read_cohort(raw, options.table, options.patient_pattern, aside)
    about_patients = doubts_of_patients([case.name for case in everyone], options.table, options.patient_pattern)
    if not options.grouped:
        everyone = [replace(case, patient=case.name) for case in everyone]
    cohort = [case for case in everyone if case.name not in aside and case.labelled]
    unlabelled = [case for case in everyone if case.name not in aside and not case.labelled]
    if not cohort:
        raise DataError(f"No case of {raw.name} has a segmentation, so there is nothing to validate on. Add some.")
    _require_other_patients(everyone, aside)

    folds, notes, origin = _divide(cohort, unlabelled, options)
    notes += about_patients
    if unlabelled:
        notes.append(
            f"{len(unlabelled)} case(s) have no segmentation: they are in the training of every fold, unless a scan of "
            "their patient is in its validation or test."
        )
    shared = all(fold.test == folds[0].test for fold in folds)
    to_move = folds[0].test if shared and not options.keep_test else []
    if to_move and (preprocessed / _PLANNED).is_file():
        raise SettingsError(
            f"nnU-Net has planned {raw.name} already, with the test cases among the others. To keep them out of its "
            f"sight, remove {preprocessed}, split, then plan and preprocess; or accept that with --keep-test."
        )
    in_sight = set().union(*(fold.test for fold in folds)) - set(to_move)
    if in_sight:
        why = "" if shared else "; each fold has others, so they cannot be moved"
        notes.append(
            f"{len(in_sight)} test cases stay in imagesTr{why}. No fold trains or validates on its own, but nnU-Net's "
            "planning sees their sizes, and fold 'all' would train on them."
        )
    if aside:
        notes.append(f"{len(aside)} cases in imagesTs with label maps in labelsTs are test cases of all folds.")
        folds = [Fold(fold.train, fold.val, sorted([*fold.test, *aside])) for fold in folds]
    modalities = Modalities.from_dataset_json(read_dataset_json(raw)).names
    notes += unsupervised_modalities(folds, everyone, modalities)
    has_test = any(fold.test for fold in folds)
    return Splits(
        raw, preprocessed, folds, to_move, has_test and not in_sight, describe_folds(folds, everyone), notes, origin
    )


def undo_splits(raw: Path, preprocessed: Path) -> tuple[list[str], list[Path]]:
    """Bring moved test cases back and remove the files of splits that we wrote.

    Returns:
        The cases, and the removed files.
    """
    cases = undo_move(raw)
    # Without our record, the splits are nnU-Net's or the user's own.
    files = [preprocessed / SPLITS, preprocessed / RECORD] if (preprocessed / RECORD).is_file() else []
    files = [file for file in files if file.is_file()]
    for file in files:
        file.unlink()
    return cases, files


def _divide(
    cohort: list[CohortCase], unlabelled: list[CohortCase], options: SplitOptions
) -> tuple[list[Fold], list[str], dict]:
    """Folds, notes, and their origin."""
    if options.scheme != "import":
        folds = (
            paper_folds(cohort, options.repeats, options.seed)
            if options.scheme == "paper"
            else k_folds(cohort, options.folds, options.test, options.seed)
        )
        folds = [_with_unlabelled(fold, unlabelled, cohort) for fold in folds]
        return folds, [], {"scheme": options.scheme, "seed": options.seed}
    if not options.tables:
        raise SettingsError("The scheme 'import' needs --csv with a table for each fold. Add it.")
    folds, notes = [], []
    for number, file in enumerate(options.tables):
        published = read_published_fold(file, cohort, options.names, unlabelled)
        held_out = {case.patient for case in unlabelled if case.name in published.held_out}
        more = [case for case in unlabelled if case.patient not in held_out]
        folds.append(_with_unlabelled(published.fold, more, cohort))
        for what, names in (
            ("subjects of the table are no case of the dataset", published.unmatched),
            ("cases of the dataset are not in the table, and so in no part of the fold", published.left_out),
            ("cases for validation or inference have no segmentation, and are in no part", published.held_out),
        ):
            if names:
                notes.append(f"fold {number}, {file}: {len(names)} {what}: {', '.join(names)}")
    return folds, notes, {"scheme": "import", "tables": [file.name for file in options.tables]}


def _with_unlabelled(fold: Fold, unlabelled: Sequence[CohortCase], labelled: Sequence[CohortCase]) -> Fold:
    """A fold that also trains on cases without a segmentation, of patients whom it does not hold out."""
    held_out = {*fold.val, *fold.test}
    patients = {case.patient for case in labelled if case.name in held_out}
    more = [case.name for case in unlabelled if case.patient not in patients]
    return Fold(sorted([*fold.train, *more]), fold.val, fold.test)


def _require_other_patients(cohort: Sequence[CohortCase], aside: Sequence[str]) -> None:
    test = {case.patient: case.name for case in cohort if case.name in aside}
    for case in cohort:
        if case.name not in aside and case.patient in test:
            raise DataError(
                f"Case '{case.name}' in imagesTr is of patient '{case.patient}', of whom '{test[case.patient]}' in "
                "imagesTs is a test case. Move all scans of a patient to one place, or accept that with --ungrouped."
            )
