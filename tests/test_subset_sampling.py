"""The draw of subsets: the paper's, by a table, by modality, by the cohort."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, all_subsets, mask_of
from nnunet_hetero.subset_sampling import BalancedDraw, PaperDraw, PresenceDraw, SubsetSampler, TableDraw, read_draw

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
TABLE = {"T1": 0.1, "T1c+FLAIR": 0.3, "T1+T2+FLAIR": 0.4, "T1+T1c+T2+FLAIR": 0.2}
PRESENCE = {"T1": 0.5, "T1c": 0.25, "T2": 0, "FLAIR": 1}


def expected_by_size(present) -> dict:
    """The paper's draw, written out: a size in 1..m, then one of the subsets of that size."""
    inside = [subset for subset in all_subsets(4) if set(subset) <= set(present)]
    sizes = Counter(len(subset) for subset in inside)
    return {subset: 1 / len(present) / sizes[len(subset)] for subset in inside}


class TestSampler:
    @pytest.mark.parametrize(
        ("settings", "present", "expected"),
        [
            ({}, (0, 1, 2, 3), expected_by_size((0, 1, 2, 3))),
            ({}, (0, 2, 3), expected_by_size((0, 2, 3))),
            ({}, (1,), {(1,): 1.0}),
            ({"alpha": TABLE}, (0, 1, 2, 3), {(0,): 0.1, (1, 3): 0.3, (0, 2, 3): 0.4, (0, 1, 2, 3): 0.2}),
            ({"alpha": {"T1": 1, "T2": 3}}, (0, 1, 2, 3), {(0,): 0.25, (2,): 0.75}),
            # Restricted to what the case has.
            ({"alpha": TABLE}, (0, 2, 3), {(0,): 0.2, (0, 2, 3): 0.8}),
            # The table allows no subset of this case: all that it has.
            ({"alpha": TABLE}, (1, 2), {(1, 2): 1.0}),
            # T1 with 0.5, T1c with 0.25, never T2, always FLAIR.
            (
                {"presence": PRESENCE},
                (0, 1, 2, 3),
                {(3,): 0.375, (0, 3): 0.375, (1, 3): 0.125, (0, 1, 3): 0.125},
            ),
            # Without FLAIR the draw may be empty, with 0.5 · 0.75, and is then drawn again.
            ({"presence": PRESENCE}, (0, 1, 2), {(0,): 0.6, (1,): 0.2, (0, 1): 0.2}),
            ({"presence": PRESENCE}, (2,), {(2,): 1.0}),
        ],
    )
    def test_frequencies(self, settings, present, expected):
        sampler = SubsetSampler(BRATS, read_draw(HeteroModalConfig(**settings), BRATS), seed=4)
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

    def test_singles_are_of_what_was_drawn_each_as_often(self):
        sampler = SubsetSampler(BRATS, seed=0)
        drawn = np.array([[True, False, True, True], [False, True, False, False], [False] * 4])
        counts = np.zeros(drawn.shape)
        for _ in range(3000):
            singles = sampler.draw_singles(drawn, range(3), 1.0)
            assert (singles <= drawn).all() and singles.sum(axis=1).tolist() == [1, 1, 0]
            counts += singles
        assert counts[1].tolist() == [0, 3000, 0, 0] and chisquare(counts[0][drawn[0]]).pvalue > 0.01

    @pytest.mark.parametrize(
        ("rows", "share", "chosen"),
        [
            (range(4), 0.5, [1, 3]),
            (range(4), 0.51, [0, 1, 3]),
            (range(4), 0.01, [3]),
            ([0, 1, 2], 0.5, [0, 1]),
            ([2], 0.5, [2]),
            ([], 0.5, []),
        ],
    )
    def test_a_share_of_them_those_seen_through_most(self, rows, share, chosen):
        drawn = np.array([[1, 0, 0, 1], [1, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]], bool)
        singles = SubsetSampler(BRATS, seed=0).draw_singles(drawn, rows, share)
        assert np.flatnonzero(singles.any(axis=1)).tolist() == chosen

    def test_by_chance_those_seen_through_as_many(self):
        sampler, drawn = SubsetSampler(BRATS, seed=0), np.ones((2, 4), bool)
        counts = sum(sampler.draw_singles(drawn, range(2), 0.5).any(axis=1).astype(int) for _ in range(1000))
        assert chisquare(counts).pvalue > 0.01

    def test_singles_belong_to_the_stream(self):
        sampler, other = SubsetSampler(BRATS, seed=0), SubsetSampler(BRATS, seed=1)
        other.load_state_dict(sampler.state_dict())
        drawn = np.ones((50, 4), bool)
        arguments = drawn, range(50), 0.5
        assert (sampler.draw_singles(*arguments) == other.draw_singles(*arguments)).all()
        assert (sampler.draw(drawn) == other.draw(drawn)).all()

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
            read_draw(HeteroModalConfig(alpha=alpha), BRATS)

    @pytest.mark.parametrize(
        ("presence", "message"),
        [
            ({**PRESENCE, "T9": 1}, "Unknown modality 'T9'"),
            ({"T1": 0.5, "FLAIR": 1}, "no probability for T1c, T2; it must have one for each"),
            ({**PRESENCE, "t1": 1}, "names the modality 'T1' twice"),
            ({**PRESENCE, "T2": 1.5}, r"presence\['T2'\] is 1.5; it must be a number from 0 to 1"),
            ({**PRESENCE, "T2": float("nan")}, "is nan"),
            ({**PRESENCE, "T2": True}, "is True"),
            (dict.fromkeys(PRESENCE, 0), "all probabilities are 0"),
        ],
    )
    def test_bad_presence(self, presence, message):
        with pytest.raises(SettingsError, match=message):
            read_draw(HeteroModalConfig(presence=presence), BRATS)


WITH_GAPS = Counter({(0, 1, 2, 3): 2, (0, 1, 3): 4, (1,): 2})


class TestBalanced:
    def frequencies(self, draw, cohort=WITH_GAPS) -> dict:
        """How often each subset is drawn, if cases come with the probabilities of the draw."""
        balanced = BalancedDraw(draw, cohort, 4)
        cases = list(cohort.elements())
        found = Counter()
        for case, probability in zip(cases, balanced.case_probabilities(cases), strict=True):
            for subset, share in SubsetSampler(BRATS, balanced).probabilities(case).items():
                found[subset] += probability * share
        return {subset: share for subset, share in found.items() if share}

    @pytest.mark.parametrize("settings", [{}, {"alpha": {**TABLE, "T1c": 0.5}}, {"alpha": {"T1c": 1, "T1c+T2": 2}}])
    def test_each_subset_as_often_as_on_complete_cases(self, settings):
        draw = read_draw(HeteroModalConfig(**settings), BRATS)
        expected = SubsetSampler(BRATS, draw).probabilities()
        assert self.frequencies(draw) == pytest.approx({s: p for s, p in expected.items() if p})

    def test_all_cases_that_have_a_subset_show_it_alike(self):
        balanced = BalancedDraw(PaperDraw(), WITH_GAPS, 4)
        cases = [(0, 1, 2, 3), (0, 1, 3), (1,)]
        probabilities = balanced.case_probabilities([*cases[:1] * 2, *cases[1:2] * 4, *cases[2:] * 2])
        of_t1c = [
            probability * SubsetSampler(BRATS, balanced).probabilities(case)[(1,)]
            for case, probability in zip(cases, probabilities[[0, 2, 6]], strict=True)
        ]
        assert of_t1c == pytest.approx([of_t1c[0]] * 3)
        assert probabilities.sum() == pytest.approx(1)

    def test_complete_cohort(self):
        cohort = Counter({(0, 1, 2, 3): 5})
        assert BalancedDraw(PaperDraw(), cohort, 4).case_probabilities([(0, 1, 2, 3)] * 5) == pytest.approx([0.2] * 5)
        assert self.frequencies(PaperDraw(), cohort) == pytest.approx(expected_by_size((0, 1, 2, 3)))

    def test_few_cases_are_not_overdone(self):
        """All four in one of twenty cases: drawn as a quarter of the cases would be, of which there is a fifth."""
        cohort = Counter({(0, 1, 2, 3): 1, (0, 1, 3): 19})
        found = self.frequencies(PaperDraw(), cohort)
        assert found[(0, 1, 2, 3)] / found[(0, 1, 3)] == pytest.approx((0.25 / 5) / (0.25 / 4))

    def test_case_of_which_nothing_is_drawn(self):
        """It is sampled as without balance, through what the other draw has for it."""
        balanced = BalancedDraw(TableDraw({(0, 1, 3): 1.0}), WITH_GAPS, 4)
        found = balanced.case_probabilities([(1,), (0, 1, 2, 3), (0, 1, 3), (1,)])
        assert found == pytest.approx([0.25] * 4)
        assert SubsetSampler(BRATS, balanced).probabilities((1,)) == {(1,): 1.0}
        presence = BalancedDraw(PresenceDraw((1.0, 0.0, 1.0, 0.0)), WITH_GAPS, 4)
        assert {s for s, p in SubsetSampler(BRATS, presence).probabilities((0, 1, 3)).items() if p} == {(0,)}
        nothing = BalancedDraw(TableDraw({(2,): 1.0}), Counter({(0,): 1, (1,): 1}), 4)
        assert nothing.case_probabilities([(0,), (1,)]) == pytest.approx([0.5, 0.5])


COHORT = HeteroModalConfig(alpha="cohort")


class TestCohort:
    @pytest.mark.parametrize(
        ("present", "expected"),
        [
            ((0, 1, 2, 3), {(0, 1, 2, 3): 0.6, (0, 2): 0.3, (2,): 0.1}),
            ((0, 2), {(0, 2): 0.75, (2,): 0.25}),
            ((0, 1), {(0, 1): 1.0}),
        ],
    )
    def test_frequencies_of_the_training_cases(self, present, expected):
        counts = {(0, 1, 2, 3): 6, (0, 2): 3, (2,): 1}
        sampler = SubsetSampler(BRATS, read_draw(COHORT, BRATS, counts))
        assert {s: p for s, p in sampler.probabilities(present).items() if p} == pytest.approx(expected)

    def test_before_the_cases_are_known(self):
        sampler = SubsetSampler(BRATS, read_draw(COHORT, BRATS))
        assert {s: p for s, p in sampler.probabilities((1, 2)).items() if p} == {(1, 2): 1.0}
