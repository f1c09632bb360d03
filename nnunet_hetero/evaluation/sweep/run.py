"""Read what ``nnunet_hetero evaluate`` wrote: the scores of every case, subset and region."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.scores.registry import known_scores
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.evaluation.sweep.results import METRICS_FILE
from nnunet_hetero.evaluation.sweep.summary import AGAIN, SETTINGS, Summary, read_summary
from nnunet_hetero.io.documents import NUMBER_OR_BLANK, CsvDocument
from nnunet_hetero.modalities import Modalities, Subset, by_size

ROUNDING = 1e-6
"""By how much a Dice of 1 may be off."""

COLUMNS = ("case", "subset", "region")


@dataclass(frozen=True)
class Run:
    """The results of one evaluation.

    Args:
        name: What the user calls it.
        folder: Where it lies.
        summary: What ``summary.json`` says of it.
        settings: Content of ``settings.json``.
        modalities: In channel order.
        regions: Names, in the order of dataset.json.
        subsets: Those with results, by size, then by channel numbers.
        cases: Those with results, sorted.
        scores: By column of ``metrics.csv`` an array (subsets, cases, regions), as in the file; NaN where there is no
            value.
        measured: Which cases were segmented from which subsets, (subsets, cases) bool.
    """

    name: str
    folder: Path
    summary: Summary
    settings: dict[str, Any]
    modalities: Modalities
    regions: tuple[str, ...]
    subsets: tuple[Subset, ...]
    cases: tuple[str, ...]
    scores: dict[str, np.ndarray]
    measured: np.ndarray

    @property
    def folds(self) -> tuple[str, ...]:
        """The folds that were evaluated."""
        return self.summary.folds if self.summary.folds is not None else tuple(self.settings.get("checkpoints", {}))

    @property
    def model(self) -> str:
        """``TRAINER__PLANS__CONFIGURATION``."""
        return self.settings.get("model", self.folder.name)

    @cached_property
    def model_folder(self) -> Path | None:
        """The trained model's folder, if the evaluation lies in it."""
        for folder in self.folder.resolve().parents[:2]:
            if (folder / "plans.json").is_file() and (folder / "dataset.json").is_file():
                return folder
        return None

    def cases_of(self, subset: Subset) -> set[str]:
        """The cases that were segmented from a subset."""
        measured = self.measured[self.subsets.index(subset)]
        return {case for case, there in zip(self.cases, measured, strict=True) if there}

    def shown(self, score: str) -> Score:
        """How a score is shown."""
        return self.summary.scores.get(score) or known_scores()[score]

    def values(self, score: str) -> np.ndarray:
        """A score to compare by, (subsets, cases, regions): without its sign where only the size counts."""
        return np.abs(self.scores[score]) if self.shown(score).absolute else self.scores[score]


def read_run(path: str | os.PathLike, name: str | None = None) -> Run:
    """The results in an evaluation's folder, or in the model's or the fold's folder that holds one.

    Args:
        path: The folder.
        name: Default: the trainer's name without ``Trainer``.

    Raises:
        SettingsError: If there is no evaluation, or more than one.
        DataError: If the evaluation is not finished, or a file of it is damaged: rows that lack or stand there twice,
            and a Dice that is none, among others.
    """
    folder = find_evaluation(path)
    summary = read_summary(folder)
    settings = SETTINGS.read(folder / "settings.json")
    modalities, regions = Modalities(summary.modalities), summary.regions
    rows, present = _read_rows(folder / METRICS_FILE, {**known_scores(), **summary.scores})
    for number, row in enumerate(rows, 2):
        if row["region"] not in regions:
            raise DataError(
                f"{folder / METRICS_FILE}, line {number}: region '{row['region']}' is none of {', '.join(regions)}. "
                f"{AGAIN}"
            )
    texts = {row["subset"] for row in rows}
    try:
        by_subset = {text: modalities.parse([text], str(folder / METRICS_FILE)) for text in texts}
    except SettingsError as error:
        raise DataError(
            f"{folder / METRICS_FILE} has a subset that summary.json does not know. {error} {AGAIN}"
        ) from error
    subsets = by_size(by_subset.values())
    cases = tuple(sorted({row["case"] for row in rows}))
    scores = {score: np.full((len(subsets), len(cases), len(regions)), np.nan) for score in present}
    rows_of = np.zeros((len(subsets), len(cases), len(regions)), int)
    places = {subset: place for place, subset in enumerate(subsets)}
    numbers = {case: place for place, case in enumerate(cases)}
    for row in rows:
        place, case, region = places[by_subset[row["subset"]]], numbers[row["case"]], regions.index(row["region"])
        rows_of[place, case, region] += 1
        for score in present:
            scores[score][place, case, region] = row[score]
    measured: np.ndarray = np.asarray(rows_of.any(axis=2))
    for place, case, region in np.argwhere(measured[..., None] & (rows_of != 1)):
        number = int(rows_of[place, case, region])
        raise DataError(
            f"{folder / METRICS_FILE} has {number or 'no'} row{'s' if number else ''} of case '{cases[case]}', "
            f"{modalities.label(subsets[place])}, {regions[region]}; expected is one. {AGAIN}"
        )
    model = settings.get("model", folder.name)
    return Run(
        name or model.split("__")[0].removesuffix("Trainer") or model,
        folder,
        summary,
        settings,
        modalities,
        regions,
        subsets,
        cases,
        scores,
        measured,
    )


def find_evaluation(path: str | os.PathLike) -> Path:
    """The folder of an evaluation, given itself, a fold's folder or a model's.

    Raises:
        SettingsError: If there is none, or more than one.
    """
    path = Path(path)
    if os.path.lexists(path / METRICS_FILE):
        return path
    found: list[Path] = []
    for pattern in ("evaluation", "evaluation_*", "fold_*/evaluation", "fold_*/evaluation_*"):
        found += [file.parent for file in sorted(path.glob(f"{pattern}/{METRICS_FILE}"))]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {folder}" for folder in found)
        raise SettingsError(f"{path} holds more than one evaluation. Name one of them:{listed}")
    raise SettingsError(
        f"{path} holds no evaluation: there is no {METRICS_FILE} in it, nor in a folder 'evaluation' below. Name the "
        "output folder of 'nnunet_hetero evaluate', or run it first."
    )


def join_runs(name: str, runs: Sequence[Run]) -> Run:
    """One run from several that hold different subsets, such as one network per subset, or different folds.

    Raises:
        DataError: If they differ in modalities or regions, or two hold the same case from the same subset.
    """
    first, *others = runs
    for other in others:
        for what, one, two in (
            ("modalities", first.modalities.names, other.modalities.names),
            ("regions", first.regions, other.regions),
        ):
            if one != two:
                raise DataError(
                    f"'{name}' cannot be joined: the {what} of {first.folder} are {', '.join(one)}, those of "
                    f"{other.folder} are {', '.join(two)}."
                )
    subsets = by_size(set().union(*(run.subsets for run in runs)))
    cases = tuple(sorted(set().union(*(run.cases for run in runs))))
    in_all = set(first.scores).intersection(*(run.scores for run in others))
    common = [score for score in first.scores if score in in_all]
    scores = {score: np.full((len(subsets), len(cases), len(first.regions)), np.nan) for score in common}
    owner = np.full((len(subsets), len(cases)), -1)
    for number, run in enumerate(runs):
        place = np.ix_([subsets.index(subset) for subset in run.subsets], [cases.index(case) for case in run.cases])
        twice = np.argwhere(run.measured & (owner[place] >= 0))
        if len(twice):
            subset, case = twice[0]
            before = runs[owner[place][subset, case]]
            raise DataError(
                f"'{name}' cannot be joined: both {before.folder} and {run.folder} hold results of the subset "
                f"{first.modalities.label(run.subsets[subset])}, of case '{run.cases[case]}'."
            )
        owner[place] = np.where(run.measured, number, owner[place])
        for score in common:
            scores[score][place] = np.where(run.measured[..., None], run.scores[score], scores[score][place])
    summary = replace(first.summary, folds=tuple(sorted(set().union(*(run.folds for run in runs)))))
    return replace(first, name=name, summary=summary, subsets=subsets, cases=cases, scores=scores, measured=owner >= 0)


def _read_rows(file: Path, known: Collection[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows with their scores as numbers (NaN for none), and which of the known scores there are."""
    columns = {**dict.fromkeys(COLUMNS, str), DICE: NUMBER_OR_BLANK}
    scores = dict.fromkeys(known, NUMBER_OR_BLANK)
    rows = CsvDocument(columns, "the results of an evaluation", AGAIN, scores).read(file)
    if not rows:
        raise DataError(f"{file} has no results. {AGAIN}")
    for number, row in enumerate(rows, 2):
        if not (np.isnan(row[DICE]) or 0 <= row[DICE] <= 1 + ROUNDING):
            raise DataError(f"{file}, line {number}: {DICE} is {row[DICE]:g}; expected is 0 to 1. {AGAIN}")
    return rows, [score for score in known if score in rows[0]]
