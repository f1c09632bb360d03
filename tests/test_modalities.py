"""Names, subsets, and the draw of subsets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, SubsetSampler, all_subsets, mask_of

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
TABLE = {"T1": 0.1, "T1c+FLAIR": 0.3, "T1+T2+FLAIR": 0.4, "T1+T1c+T2+FLAIR": 0.2}


class TestNames:
    @pytest.mark.parametrize(
        ("dataset_json", "names"),
        [
            ({"channel_names": {"0": "T1", "1": "T2"}}, ("T1", "T2")),
            ({"channel_names": {"10": "k", "2": "c", "1": "b", "0": "a"}}, ("a", "b", "c", "k")),
            ({"modality": {"0": "CT"}}, ("CT",)),
        ],
    )
    def test_of_dataset_json(self, dataset_json, names):
        assert Modalities.from_dataset_json(dataset_json).names == names

    def test_dataset_json_without_names(self):
        with pytest.raises(SettingsError, match="no 'channel_names'"):
            Modalities.from_dataset_json({"labels": {}})

    def test_the_same_name_twice(self):
        with pytest.raises(SettingsError, match=r"more than once.*\['t1'\]"):
            Modalities(("T1", "T2", "t1"))

    @pytest.mark.parametrize(("name", "number"), [("FLAIR", 3), (" t1C", 1), ("2", 2), (0, 0)])
    def test_index(self, name, number):
        assert BRATS.index(name) == number

    @pytest.mark.parametrize("name", ["T3", "4", "-1", "", 7])
    def test_unknown(self, name):
        with pytest.raises(SettingsError, match=r"Unknown modality.*T1 \(0\), T1c \(1\), T2 \(2\), FLAIR \(3\)"):
            BRATS.index(name)

    def test_a_name_that_looks_like_a_number_wins(self):
        assert Modalities(("1", "0")).index("1") == 0

    @pytest.mark.parametrize(
        ("names", "subset"),
        [
            (["FLAIR", "T1"], (0, 3)),
            (["flair,t1"], (0, 3)),
            (["T1c + T2", 0], (0, 1, 2)),
            ([], ()),
        ],
    )
    def test_parse(self, names, subset):
        assert BRATS.parse(names) == subset

    def test_parse_the_same_twice(self):
        with pytest.raises(SettingsError, match="--missing: modality 'T1' is named more than once"):
            BRATS.parse(["T1", "0"], what="--missing")

    @pytest.mark.parametrize(("subset", "label"), [((3, 0), "T1+FLAIR"), ((), "none")])
    def test_label(self, subset, label):
        assert BRATS.label(subset) == label


class TestSubsets:
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_all_of_them_once_by_size(self, number):
        subsets = all_subsets(number)
        assert len(set(subsets)) == len(subsets) == 2**number - 1
        assert subsets == sorted(subsets, key=lambda subset: (len(subset), subset))

    def test_mask(self):
        assert mask_of((0, 3), 4).tolist() == [True, False, False, True]
        assert mask_of((), 2).tolist() == [False, False]


def expected_by_size(present) -> dict:
    """The paper's draw, written out: a size in 1..m, then one of the subsets of that size."""
    inside = [subset for subset in all_subsets(4) if set(subset) <= set(present)]
    sizes = Counter(len(subset) for subset in inside)
    return {subset: 1 / len(present) / sizes[len(subset)] for subset in inside}


class TestSampler:
    @pytest.mark.parametrize(
        ("alpha", "present", "expected"),
        [
            (None, (0, 1, 2, 3), expected_by_size((0, 1, 2, 3))),
            (None, (0, 2, 3), expected_by_size((0, 2, 3))),
            (None, (1,), {(1,): 1.0}),
            (TABLE, (0, 1, 2, 3), {(0,): 0.1, (1, 3): 0.3, (0, 2, 3): 0.4, (0, 1, 2, 3): 0.2}),
            ({"T1": 1, "T2": 3}, (0, 1, 2, 3), {(0,): 0.25, (2,): 0.75}),
            # Restricted to what the case has.
            (TABLE, (0, 2, 3), {(0,): 0.2, (0, 2, 3): 0.8}),
            # The table allows no subset of this case: all that it has.
            (TABLE, (1, 2), {(1, 2): 1.0}),
        ],
    )
    def test_frequencies(self, alpha, present, expected):
        sampler = SubsetSampler(BRATS, alpha, seed=4)
        drawn = sampler.draw(np.tile(mask_of(present, 4), (3000, 1)))
        counts = Counter(tuple(np.flatnonzero(row).tolist()) for row in drawn)
        assert set(counts) <= set(expected)
        if len(expected) > 1:
            observed = [counts[subset] for subset in expected]
            assert chisquare(observed, [3000 * p for p in expected.values()]).pvalue > 0.01
        assert {s: p for s, p in sampler.probabilities(present).items() if p} == pytest.approx(expected)

    def test_each_sample_draws_within_what_it_has(self):
        present = np.array([mask_of(subset, 4) for subset in ((), *all_subsets(4))] * 20)
        drawn = SubsetSampler(BRATS, seed=0).draw(present)
        assert drawn.dtype == bool
        assert not (drawn & ~present).any()
        assert (drawn.any(axis=1) == present.any(axis=1)).all()

    def test_case_with_nothing(self):
        sampler = SubsetSampler(BRATS, seed=0)
        assert sampler.probabilities([]) == {}
        assert not sampler.draw(np.zeros((2, 4), bool)).any()

    def test_seed(self):
        present = np.ones((50, 4), bool)
        first, second, other = (SubsetSampler(BRATS, seed=seed).draw(present) for seed in (1, 1, 2))
        assert (first == second).all()
        assert (first != other).any()

    def test_state_continues_the_stream(self):
        present = np.ones((30, 4), bool)
        sampler = SubsetSampler(BRATS, seed=5)
        sampler.draw(present)
        state = sampler.state_dict()
        expected = [sampler.draw(present) for _ in range(2)]
        resumed = SubsetSampler(BRATS)
        resumed.load_state_dict(state)
        assert all((resumed.draw(present) == wanted).all() for wanted in expected)
        assert (expected[0] != expected[1]).any()

    @pytest.mark.parametrize(
        ("alpha", "message"),
        [
            ({"T1+T9": 1}, "Unknown modality 'T9'"),
            ({"T1+T1": 1}, "alpha\\['T1\\+T1'\\]: modality 'T1' is named more than once"),
            ({"T1+T2": 1, "T2+T1": 1}, "'T2\\+T1' is empty or stands in the table twice"),
            ({"": 1}, "'' is empty"),
            ({"T1": -0.1, "T2": 1}, "alpha\\['T1'\\] is -0.1; a weight must be"),
            ({"T1": float("nan")}, "alpha\\['T1'\\] is nan"),
            ({"T1": float("inf")}, "alpha\\['T1'\\] is inf"),
            ({"T1": "much"}, "alpha\\['T1'\\] is 'much'"),
            ({"T1": None}, "alpha\\['T1'\\] is None"),
            ({"T1": 0, "T2": 0.0}, "sum to 0"),
            ({}, "sum to 0"),
        ],
    )
    def test_bad_table(self, alpha, message):
        with pytest.raises(SettingsError, match=message):
            SubsetSampler(BRATS, alpha)
