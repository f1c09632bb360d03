"""Folds of a cohort: nothing lost, nothing twice, patients whole, attributes alike."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.splits.cohort import CohortCase
from nnunet_hetero.splits.schemes import balanced_parts, k_folds, paper_folds

MODALITIES = ("T1", "T1c", "T2", "FLAIR")


def cohort(patients: int = 120, repeats: bool = True, seed: int = 0) -> list[CohortCase]:
    """Unequal sites, two grades, gaps in a third of the cases, and up to three scans of a patient."""
    random = np.random.default_rng(seed)
    cases = []
    for number in range(patients):
        site = random.choice(["A", "B", "C", "D", "E"], p=[0.4, 0.3, 0.2, 0.07, 0.03])
        grade = random.choice(["HGG", "LGG"], p=[0.7, 0.3])
        for scan in range(1 + (random.integers(3) if repeats and random.random() < 0.3 else 0)):
            gaps = random.random() < 1 / 3
            missing = tuple(name for name in MODALITIES[:3] if gaps and random.random() < 0.4)
            cases.append(CohortCase(f"case{number:03d}-{scan}", f"patient{number}", site, grade, missing))
    return cases


def patients_of(names, cases) -> set[str]:
    by_name = {case.name: case.patient for case in cases}
    return {by_name[name] for name in names}


def check_parts(fold, cases) -> None:
    """Each case in one part, each patient in one part, lists sorted."""
    parts = (fold.train, fold.val, fold.test)
    assert sorted(itertools.chain(*parts)) == sorted(case.name for case in cases)
    for one, other in itertools.combinations(parts, 2):
        assert not patients_of(one, cases) & patients_of(other, cases)
    assert all(part == sorted(part) for part in parts)


class TestPaper:
    def test_shares_of_285_single_scans_are_those_of_the_paper(self):
        """BraTS 2018 has 285; the authors' tables have 199, 29 and 57."""
        cases = cohort(285, repeats=False)
        folds = paper_folds(cases)
        assert [(len(fold.train), len(fold.val), len(fold.test)) for fold in folds] == [(199, 29, 57)] * 3
        assert len({tuple(fold.test) for fold in folds}) == 3

    def test_patients_stay_whole(self):
        cases = cohort()
        for fold in paper_folds(cases):
            check_parts(fold, cases)
            assert len(fold.test) == pytest.approx(0.2 * len(cases), abs=1)
            assert len(fold.val) == pytest.approx(0.1 * len(cases), abs=1)

    def test_fold_is_that_of_its_own_seed(self):
        cases = cohort()
        assert paper_folds(cases, 3, seed=4)[2] == paper_folds(cases, 1, seed=6)[0]
        assert paper_folds(cases, 1, seed=4) != paper_folds(cases, 1, seed=5)

    def test_order_of_the_cases_does_not_matter(self):
        assert paper_folds(cohort()) == paper_folds(cohort()[::-1])

    def test_too_few_patients(self):
        with pytest.raises(SettingsError, match="0 validation cases"):
            paper_folds(cohort(3, repeats=False))


class TestKFolds:
    @pytest.mark.parametrize("test", [0, 0.2])
    def test_each_case_is_validated_once_or_tested(self, test):
        cases = cohort()
        folds = k_folds(cases, 5, test)
        for fold in folds:
            check_parts(fold, cases)
            assert fold.test == folds[0].test
        validated = Counter(name for fold in folds for name in fold.val)
        assert set(validated.values()) == {1}
        assert sorted([*validated, *folds[0].test]) == [case.name for case in cases]
        assert len(folds[0].test) == pytest.approx(test * len(cases), abs=2)

    def test_attributes_are_spread_better_than_at_random(self):
        for seed in range(5):
            cases = cohort(seed=seed)
            random = np.random.default_rng(seed)
            balanced = balanced_parts(cases, [0.2] * 5, random)
            fold_of = dict(zip(sorted({case.patient for case in cases}), itertools.cycle(range(5)), strict=False))
            at_random = [[case for case in cases if fold_of[case.patient] == fold] for fold in range(5)]
            assert spread(balanced) < 0.5 * spread(at_random)

    def test_rare_attributes_are_in_as_many_folds_as_they_can(self):
        cases = [
            CohortCase(f"{number:02d}", f"{number:02d}", "rare" if number < 5 else "common") for number in range(40)
        ]
        folds = k_folds(cases)
        assert [sum(name < "05" for name in fold.val) for fold in folds] == [1] * 5
        assert [len(fold.val) for fold in folds] == [8] * 5

    def test_a_rare_attribute_counts_as_much_as_a_common_one(self):
        """Five of sixty patients are of one site; their gaps and grades, which many share, must not decide alone."""
        for seed in range(10):
            random = np.random.default_rng(seed)
            cases = []
            for number in range(60):
                site = "rare" if number < 5 else "A" if number % 2 else "B"
                grade = "HGG" if random.random() < 0.5 else "LGG"
                missing = tuple(name for name in MODALITIES[:3] if random.random() < 0.4)
                cases.append(CohortCase(f"{number:02d}", f"{number:02d}", site, grade, missing))
            folds = k_folds(cases, seed=seed)
            assert [sum(name < "05" for name in fold.val) for fold in folds] == [1] * 5

    def test_repeats_with_a_seed_and_differs_between_seeds(self):
        cases = cohort()
        assert k_folds(cases, seed=3) == k_folds(cases[::-1], seed=3)
        assert k_folds(cases, seed=3) != k_folds(cases, seed=4)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"number": 1}, "number of folds is 1"),
            ({"test": 1.0}, r"share of test cases is 1.0"),
            ({"test": -0.1}, r"share of test cases is -0.1"),
            ({"number": 9}, "7 patients cannot be divided into 9 parts"),
        ],
    )
    def test_impossible_numbers(self, arguments, message):
        with pytest.raises(SettingsError, match=message):
            k_folds(cohort(7, repeats=False), **arguments)


def spread(parts: list[list[CohortCase]]) -> float:
    """Mean over attributes of the standard deviation over folds of how often each occurs."""
    counts = [Counter(attribute for case in part for attribute in case.attributes()) for part in parts]
    return float(np.mean([np.std([count[attribute] for count in counts]) for attribute in set().union(*counts)]))
