"""Ways to divide a cohort: the paper's random 70/10/20, and k balanced folds; patients stay whole in both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from nnunet_hetero.errors import SettingsError

from .cohort import CohortCase

PAPER_VAL, PAPER_TEST = 0.1, 0.2  # Dorent et al., 2019, section 4; the rest is for training
PAPER_REPEATS = 3


@dataclass(frozen=True)
class Fold:
    """Case names of one fold, each list sorted; no case is in two of them, nor a patient."""

    train: list[str]
    val: list[str]
    test: list[str]


def paper_folds(cohort: Sequence[CohortCase], repeats: int = PAPER_REPEATS, seed: int = 0) -> list[Fold]:
    """Divide the cohort at random into 70 % training, 10 % validation and 20 % test cases, several times.

    Args:
        cohort: The cases.
        repeats: How many folds, each with a test set of its own.
        seed: Of the first fold; fold r is that of ``seed + r``, whatever the number of folds.

    Raises:
        SettingsError: If there are too few patients.
    """
    _require("repeats", repeats, 1)
    patients = _patients(cohort)
    folds = []
    for repeat in range(repeats):
        room = {"test": round_half_up(PAPER_TEST * len(cohort)), "val": round_half_up(PAPER_VAL * len(cohort))}
        parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        order = np.random.default_rng(seed + repeat).permutation(len(patients))
        for cases in (patients[index] for index in order):
            # The first part that has room for all scans of the patient.
            part = next((part for part in room if len(cases) <= room[part] - len(parts[part])), "train")
            parts[part] += [case.name for case in cases]
        folds.append(_fold(**parts))
    return folds


def k_folds(cohort: Sequence[CohortCase], number: int = 5, test: float = 0.0, seed: int = 0) -> list[Fold]:
    """Divide the cohort into a test set and k parts, each of which is the validation set of one fold.

    Args:
        cohort: The cases; balanced by `CohortCase.attributes`.
        number: How many folds, k.
        test: Share of the cases that is the test set of all folds, 0 to less than 1.
        seed: Of the ties between equally good places for a patient.

    Raises:
        SettingsError: If there are too few patients, or a number is out of range.

    Examples:
        >>> cohort = [CohortCase(f"case_{number}", f"patient_{number}") for number in range(4)]
        >>> [len(fold.val) for fold in k_folds(cohort, number=2)]
        [2, 2]
    """
    _require("folds", number, 2)
    if not 0 <= test < 1:
        raise SettingsError(f"The share of test cases is {test}; it must be at least 0 and less than 1, e.g. 0.2.")
    random = np.random.default_rng(seed)
    held_out: list[CohortCase] = []
    if test:
        held_out, cohort = balanced_parts(cohort, [test, 1 - test], random)
    parts = balanced_parts(cohort, [1 / number] * number, random)
    folds = []
    for part in parts:
        others = chain.from_iterable(other for other in parts if other is not part)
        folds.append(_fold(train=_names(others), val=_names(part), test=_names(held_out)))
    return folds


def _names(cases: Iterable[CohortCase]) -> list[str]:
    return [case.name for case in cases]


def balanced_parts(
    cohort: Sequence[CohortCase], shares: Sequence[float], random: np.random.Generator
) -> list[list[CohortCase]]:
    """Divide whole patients into parts of the given shares, so that each attribute is divided alike.

    Patients are placed one by one, those with the rarest attributes first, each where the squared deviations from the
    shares, relative to how often an attribute occurs, are then smallest. That is the idea of iterative stratification
    (Sechidis et al., 2011, "On the stratification of multi-label data") for groups of cases. Balancing each attribute
    by itself suits cohorts in which hardly two cases share site, grade and gaps.

    Args:
        cohort: The cases.
        shares: Of each part, together 1.
        random: Decides between equals.

    Raises:
        SettingsError: If a part would be empty.
    """
    patients = _patients(cohort)
    names = sorted(set().union(*(case.attributes() for case in cohort)))
    # One row per patient: number of scans, and in how many of them each attribute occurs.
    counts = np.zeros((len(patients), 1 + len(names)))
    for row, cases in zip(counts, patients, strict=True):
        row[0] = len(cases)
        for attribute in chain.from_iterable(case.attributes() for case in cases):
            row[1 + names.index(attribute)] += 1
    weights = 1 / counts.sum(axis=0)
    share = np.asarray(shares)[:, None]
    placed = np.zeros((len(shares), counts.shape[1]))
    parts: list[list[CohortCase]] = [[] for _ in shares]
    for index in np.lexsort((random.permutation(len(patients)), -counts @ weights)):
        after = placed[None] + np.eye(len(shares))[:, :, None] * counts[index]  # (choice, part, attribute)
        deviation = after / share - after.sum(axis=1, keepdims=True)
        cost = (share * deviation**2 * weights).sum(axis=(1, 2))
        choice = random.choice(np.flatnonzero(cost <= cost.min() * (1 + 1e-9)))
        placed[choice] += counts[index]
        parts[choice] += patients[index]
    if not all(parts):
        raise SettingsError(
            f"{len(patients)} patients cannot be divided into {len(shares)} parts of shares "
            f"{', '.join(f'{value:.2g}' for value in shares)}: one is empty. Ask for fewer folds or another share."
        )
    return parts


def round_half_up(value: float) -> int:
    """28.5 → 29; Python's own rounding goes to the even number.

    Examples:
        >>> round_half_up(28.5), round(28.5)
        (29, 28)
    """
    return int(value + 0.5)


def _patients(cohort: Sequence[CohortCase]) -> list[list[CohortCase]]:
    by_patient: dict[str, list[CohortCase]] = {}
    for case in sorted(cohort, key=lambda case: case.name):
        by_patient.setdefault(case.patient, []).append(case)
    return list(by_patient.values())


def _fold(train: Iterable[str], val: Iterable[str], test: Iterable[str]) -> Fold:
    fold = Fold(sorted(train), sorted(val), sorted(test))
    if not fold.train or not fold.val:
        raise SettingsError(
            f"A fold would have {len(fold.train)} training and {len(fold.val)} validation cases; it needs at least one "
            "of each. The dataset has too few patients for these splits."
        )
    return fold


def _require(what: str, number: int, minimum: int) -> None:
    if number < minimum:
        raise SettingsError(f"The number of {what} is {number}; it must be at least {minimum}.")
