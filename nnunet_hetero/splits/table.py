"""The table of a split: how many cases of each site, grade and gap are in which part of which fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from .cohort import CohortCase
from .schemes import Fold


def describe_folds(folds: Sequence[Fold], cohort: Sequence[CohortCase]) -> str:
    """One row for cases, patients and each attribute; one column per fold with ``train/val`` or ``train/val/test``."""
    by_name = {case.name: case for case in cohort}
    with_test = any(fold.test for fold in folds)
    columns = [[_count(cohort)]]
    for fold in folds:
        parts = [fold.train, fold.val, fold.test] if with_test else [fold.train, fold.val]
        columns.append([_count(map(by_name.__getitem__, names)) for names in parts])
    rows = [["", "all", *(f"fold {number}" for number in range(len(folds)))]]
    for kind in sorted(columns[0][0], key=_order):
        rows.append([kind, *(_slashed(parts, kind) for parts in columns)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([*lines, f"Each fold: training/validation{'/test' if with_test else ''}."])


def unsupervised_modalities(
    folds: Sequence[Fold], cohort: Sequence[CohortCase], modalities: Sequence[str]
) -> list[str]:
    """Say which modalities no training case of a fold has."""
    missing = {case.name: case.missing for case in cohort}
    notes = []
    for number, fold in enumerate(folds):
        nowhere = set(modalities).intersection(*(missing[name] for name in fold.train))
        notes += [
            f"fold {number} trains on no case with {modality}; it cannot learn from that modality."
            for modality in modalities
            if modality in nowhere
        ]
    return notes


def _slashed(parts: Sequence[Counter[str]], kind: str) -> str:
    return "/".join(str(counts[kind]) for counts in parts)


def _count(cases: Iterable[CohortCase]) -> Counter[str]:
    cases = list(cases)
    counts = Counter(chain.from_iterable(case.attributes() for case in cases))
    return counts + Counter(cases=len(cases), patients=len({case.patient for case in cases}))


def _order(kind: str) -> tuple[int, str]:
    return ["cases", "patients", "site", "grade", "unlabelled", "complete", "without"].index(
        kind.split(" ", 1)[0]
    ), kind
