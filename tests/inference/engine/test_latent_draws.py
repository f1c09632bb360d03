"""Draws of the latents: how many, from which random numbers, what their statistics say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.regions import LABELS, random_probabilities, regions

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.latent_draws import (
    DrawStatistics,
    binary_entropy,
    draws_of,
    generator_of,
    mirrored_views,
)
from nnunet_hetero.inference.engine.network_steps import latents
from nnunet_hetero.inference.engine.region_signs import expected_dice, surface_share
from nnunet_hetero.network.fusion import Gaussian


class TestDraws:
    @pytest.mark.parametrize(
        ("samples", "views", "expected"), [(10, 8, 16), (10, 1, 10), (1, 8, 8), (8, 8, 8), (9, 4, 12)]
    )
    def test_at_least_as_many_as_asked_for_and_equally_many_per_view(self, samples, views, expected):
        draws = draws_of(samples, views)
        assert len(draws) == len(set(draws)) == expected >= samples
        per_view = [sum(draw.view == view for draw in draws) for view in range(views)]
        assert len(set(per_view)) == 1

    def test_no_samples_are_the_mean_once_per_view(self):
        assert [(draw.view, draw.number) for draw in draws_of(0, 4)] == [(view, None) for view in range(4)]

    def test_views_are_those_of_nnunet(self):
        assert mirrored_views(None) == mirrored_views(()) == [()]
        assert mirrored_views((0, 1, 2)) == [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]

    @pytest.mark.parametrize(
        "wrong", [{"num_samples": -1}, {"num_samples": 2.5}, {"seed": -1}, {"seed": True}, {"save_completed": "some"}]
    )
    def test_impossible_options(self, wrong):
        name = next(iter(wrong))
        with pytest.raises(SettingsError, match=f"--{name} is "):
            SamplingOptions(**wrong)


class TestRandomStreams:
    def test_the_key_settles_the_numbers(self):
        def numbers(*key):
            return torch.randn(100, generator=generator_of(torch.device("cpu"), *key))

        assert (numbers(0, "a", 0, 1) == numbers(0, "a", 0, 1)).all()
        others = [numbers(1, "a", 0, 1), numbers(0, "b", 0, 1), numbers(0, "a", 1, 0), numbers(0, "a", 0, 2)]
        assert all((numbers(0, "a", 0, 1) != other).any() for other in others)

    def test_latents_have_the_moments_of_the_posterior(self):
        mean, deviation = 2.0, 0.5
        shape = (2, 4, 20, 20, 20)
        level = Gaussian(torch.full(shape, mean), torch.full(shape, 2 * math.log(deviation)))
        (z,) = latents([level], 1, generator_of(torch.device("cpu"), "key"))
        assert z.shape == (1, *shape[1:])
        assert z.mean().item() == pytest.approx(mean, abs=0.02)
        assert z.std().item() == pytest.approx(deviation, abs=0.02)
        (z,) = latents([level], 1, None)
        assert (z == mean).all()


class TestStatistics:
    @pytest.mark.parametrize(("labels", "heads"), [(None, 3), (LABELS, 3)])
    def test_sums_are_those_of_all_draws_at_once(self, labels, heads):
        decoder = regions(labels)
        maps = random_probabilities(5, heads, softmax=labels is not None)
        statistics = DrawStatistics(decoder, decide=True, entropies=True)
        for one in maps:
            statistics.add(one.clone())
        mean = maps.mean(0)
        torch.testing.assert_close(statistics.mean_probability(), mean)
        foreground = maps if labels is None else maps[:, 1:]
        entropy = binary_entropy(foreground.mean(0))
        expected = entropy - binary_entropy(foreground).mean(0)
        information = statistics.mutual_information(entropy)
        torch.testing.assert_close(information, expected, atol=1e-5, rtol=1e-4)
        assert (information >= 0).all() and (information <= entropy).all()
        masks = torch.stack([torch.stack(list(decoder.masks(one))) for one in maps])
        assert (statistics.voxels() == masks.flatten(2).sum(2)).all()
        decided = torch.stack(list(decoder.masks(mean)))
        overlap = 2 * (masks & decided).flatten(2).sum((0, 2))
        dice = overlap / (masks.flatten(2).sum((0, 2)) + 5 * decided.flatten(1).sum(1))
        statement = statistics.statement(0.5)
        np.testing.assert_allclose(statement.disagreement, 1 - dice, rtol=1e-5)
        np.testing.assert_allclose(statement.sizes, decided.flatten(1).sum(1) * 0.5)
        pairs = list(zip(foreground.mean(0), decided, strict=True))
        promised = np.array([expected_dice(region, mask) for region, mask in pairs])
        np.testing.assert_allclose(statement.expected_dice, promised[:, 0], rtol=1e-5)
        np.testing.assert_allclose(statement.softened_dice, promised[:, 1], rtol=1e-5)
        np.testing.assert_allclose(statement.surface, [surface_share(mask) for _, mask in pairs], rtol=1e-5)

    def test_folds_together(self):
        maps = random_probabilities(6, 3)
        whole, first, second = (DrawStatistics(regions(), True, True) for _ in range(3))
        for number, one in enumerate(maps):
            whole.add(one)
            (first if number < 3 else second).add(one)
        first.merge(second)
        assert first.number == 6 and (first.voxels() == whole.voxels()).all()
        torch.testing.assert_close(first.mean_probability(), whole.mean_probability())
        np.testing.assert_allclose(first.statement(1.0).disagreement, whole.statement(1.0).disagreement, rtol=1e-5)
        entropy = binary_entropy(whole.mean_probability())
        information = whole.mutual_information(entropy)
        assert 0.01 < information.mean() < 0.5 * entropy.mean()  # neither of the bounds that it is clamped to
        torch.testing.assert_close(first.mutual_information(entropy), information)

    def test_draws_that_agree(self):
        statistics = DrawStatistics(regions(), True, True)
        one = random_probabilities(1, 3)[0]
        one[2] = 0  # no draw sees the enhancing tumour
        for _ in range(3):
            statistics.add(one)
        entropy = binary_entropy(one)
        statement = statistics.statement(2.0)
        assert abs(statement.disagreement).max() == 0
        assert statement.sizes[2] == statement.expected_dice[2] == statement.softened_dice[2] == 0
        assert statistics.mutual_information(entropy).max() < 1e-6

    def test_entropy_of_certainty_is_zero(self):
        torch.testing.assert_close(binary_entropy(torch.tensor([0.0, 1.0, 0.5])), torch.tensor([0.0, 0.0, math.log(2)]))
