"""The validation of an epoch: the same mix of subsets every time, whatever the number of modalities."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.validation import (
    ValidationCycle,
    pseudo_dice_by_size,
    seen_through,
    steps_by_size,
    subsets_of_epoch,
)

NNUNETS_STEPS = 50


def sizes(subsets) -> Counter:
    return Counter(map(len, subsets))


class TestSubsetsOfEpoch:
    @pytest.mark.parametrize("number", range(1, 9))
    @pytest.mark.parametrize("steps", [1, 3, 16, NNUNETS_STEPS, 2 * NNUNETS_STEPS])
    def test_every_epoch_has_the_same_mix(self, number, steps):
        epochs = [subsets_of_epoch(all_subsets(number), epoch, steps) for epoch in range(20)]
        assert all(sizes(epoch) == sizes(epochs[0]) and len(epoch) == steps for epoch in epochs)
        if steps >= number:
            assert set(sizes(epochs[0])) == set(range(1, number + 1))

    @pytest.mark.parametrize("number", [4, 6, 7, 8])
    def test_subsets_of_a_size_are_seen_equally_often(self, number):
        subsets = all_subsets(number)
        seen = Counter()
        for epoch in range(200):
            seen.update(subsets_of_epoch(subsets, epoch, NNUNETS_STEPS))
        assert set(seen) == set(subsets)
        for size in range(1, number + 1):
            times = [seen[subset] for subset in subsets if len(subset) == size]
            assert max(times) - min(times) <= 1

    @pytest.mark.parametrize("number", [6, 7, 8])
    def test_a_score_that_depends_on_the_size_does_not_swing(self, number):
        """With the subsets in the order of their size, it went from 0.3 to 0.9 and back."""
        scores = np.linspace(0.3, 0.9, number)
        means = []
        for epoch in range(20):
            shown = subsets_of_epoch(all_subsets(number), epoch, NNUNETS_STEPS)
            means.append(np.mean([scores[len(subset) - 1] for subset in shown]))
        assert np.ptp(means) < 1e-12

    def test_the_order_within_a_size_is_shuffled_anew(self):
        pairs = [subset for subset in all_subsets(4) if len(subset) == 2]
        turns = [tuple(subsets_of_epoch(pairs, epoch, 6)) for epoch in range(6)]
        assert all(set(turn) == set(pairs) for turn in turns)
        assert len(set(turns)) > 1

    def test_nothing_is_remembered(self):
        subsets = all_subsets(7)
        later = subsets_of_epoch(subsets, 11, NNUNETS_STEPS)
        for epoch in range(11):
            subsets_of_epoch(subsets, epoch, NNUNETS_STEPS)
        assert subsets_of_epoch(subsets, 11, NNUNETS_STEPS) == later

    @pytest.mark.parametrize("ranks", [2, 4])
    def test_ranks_divide_an_epoch(self, ranks):
        epochs = []
        for epoch in range(6):
            chosen = subsets_of_epoch(all_subsets(6), epoch, ranks * NNUNETS_STEPS)
            parts = [chosen[rank::ranks] for rank in range(ranks)]
            assert all(len(part) == NNUNETS_STEPS for part in parts)
            epochs.append([sizes(part) for part in parts])
        assert all(epoch == epochs[0] for epoch in epochs)

    def test_one_subset(self):
        assert subsets_of_epoch([(0, 2)], 5, 3) == [(0, 2)] * 3


def test_steps_are_in_proportion():
    assert steps_by_size({1: 4, 2: 6, 3: 4, 4: 1}, 15 * 1000) == pytest.approx(
        {1: 4000, 2: 6000, 3: 4000, 4: 1000}, abs=4
    )
    assert steps_by_size({1: 3, 2: 3, 3: 1}, 3) == {1: 1, 2: 1, 3: 1}
    assert sum(steps_by_size({1: 3, 2: 3, 3: 1}, 2).values()) == 2


def test_a_sample_without_the_subset_is_shown_with_what_it_has():
    data = torch.ones(2, 3, 2, 2, 2)
    data[1, 0] = 0
    shown = seen_through(data, (0,)).flatten(2).any(dim=2)
    assert shown.tolist() == [[True, False, False], [False, True, True]]


def test_images_are_masked_where_they_are():
    data = torch.zeros(2, 4, 8, 8, device="meta")
    assert seen_through(data, (1, 2)).device == data.device


def test_pseudo_dice():
    """Two classes; one modality: hits 1 of 2 and none, two modalities: a class that is nowhere counts for nothing."""
    rows = [
        (1, np.array([1, 0]), np.array([0, 1]), np.array([2, 1])),
        (2, np.array([2, 0]), np.array([1, 0]), np.array([1, 0])),
        (2, np.array([1, 0]), np.array([0, 0]), np.array([0, 0])),
    ]
    found = pseudo_dice_by_size(rows, 3)
    assert found == pytest.approx({1: 0.25, 2: 0.75, 3: np.nan}, nan_ok=True)


class TestCycle:
    def test_ranks_share_the_subsets_of_an_epoch(self):
        subsets = all_subsets(4)
        cycles = [ValidationCycle(subsets, 4, Ranks(number, 2)) for number in range(2)]
        shown = []
        for cycle in cycles:
            cycle.begin(3, 10)
            shown.append([cycle.next_subset() for _ in range(10)])
        together = [subset for pair in zip(*shown, strict=True) for subset in pair]
        assert together == subsets_of_epoch(subsets, 3, 20) and shown[0] != shown[1]

    def test_every_epoch_begins_anew(self):
        cycle = ValidationCycle(all_subsets(3), 3, Ranks())
        for epoch in (0, 1):
            cycle.begin(epoch, 7)
            assert [cycle.next_subset() for _ in range(7)] == subsets_of_epoch(all_subsets(3), epoch, 7)

    def test_pseudo_dice_of_the_steps_that_were_shown(self):
        cycle = ValidationCycle([(0,), (0, 1)], 2, Ranks())
        cycle.begin(0, 2)
        sizes = [len(cycle.next_subset()) for _ in range(2)]
        outputs = [{"tp_hard": np.array([size]), "fp_hard": np.array([0]), "fn_hard": np.array([2])} for size in sizes]
        assert cycle.pseudo_dice(outputs) == pytest.approx({1: 0.5, 2: 4 / 6})
