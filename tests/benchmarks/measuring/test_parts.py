"""The bytes that each part of a network moves, on fake tensors."""

from __future__ import annotations

import pytest
from measuring.counting import counted_as_kernels
from measuring.full_size import PLAIN, architecture, count_step, nnunets_network, our_network
from measuring.parts import DECODER, ENCODERS, FUSION, IMAGES, PARTS, REST, SINGLES, PartsCounter

PATCH, FEATURES = (32, 32, 32), (8, 16)


@pytest.mark.parametrize("compiled", [False, True])
def test_parts_add_up_and_grow_with_their_own(compiled):
    plan, moved = architecture(PLAIN, FEATURES, PATCH), {}
    for modalities in (1, 4):
        counts = []
        for counter in ({}, {"counter_of": PartsCounter}):
            if compiled:
                with counted_as_kernels():
                    counts.append(count_step(lambda m=modalities: our_network(m, plan), modalities, PATCH, **counter))
            else:
                counts.append(count_step(lambda m=modalities: our_network(m, plan), modalities, PATCH, **counter))
        plain, by_part = counts
        assert sum(by_part.by_phase.values()) == by_part.moved_bytes == plain.moved_bytes
        assert by_part.peak_bytes == plain.peak_bytes
        assert set(by_part.by_phase) == set(PARTS)
        moved[modalities] = by_part.by_phase
    one, four = moved[1], moved[4]
    assert four[ENCODERS] == pytest.approx(4 * one[ENCODERS], rel=0.05)
    assert 2 * one[FUSION] < four[FUSION] < 4 * one[FUSION]
    assert four[DECODER] == one[DECODER] and one[IMAGES] < four[IMAGES] < 1.5 * one[IMAGES]
    assert four[REST] > one[REST]


def test_of_nnunets_network():
    plan = architecture(PLAIN, FEATURES, PATCH)
    counts = count_step(lambda: nnunets_network(PLAIN, 4, plan), 4, PATCH, counter_of=PartsCounter)
    assert set(counts.by_phase) == {ENCODERS, DECODER, REST}
    assert sum(counts.by_phase.values()) == counts.moved_bytes
    assert min(counts.by_phase[ENCODERS], counts.by_phase[DECODER]) > counts.by_phase[REST] > 0


def test_single_modalities_cost_a_coarse_pass_of_the_decoder_and_no_encoder():
    plan = architecture(PLAIN, (8, 16, 16), PATCH)
    without, half, all_samples = (
        count_step(lambda: our_network(4, plan), 4, PATCH, counter_of=PartsCounter, single=share)
        for share in (0, 0.5, 1)
    )
    assert all_samples.by_phase[ENCODERS] == half.by_phase[ENCODERS] == without.by_phase[ENCODERS]
    assert without.moved_bytes < half.moved_bytes < all_samples.moved_bytes < 1.25 * without.moved_bytes
    assert SINGLES not in without.by_phase
    assert half.by_phase[SINGLES] == pytest.approx(all_samples.by_phase[SINGLES] / 2, rel=0.15)
