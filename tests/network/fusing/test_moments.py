"""Mean and variance over the present modalities."""

from __future__ import annotations

import pytest
import torch

from nnunet_hetero.network.fusing.moments import moments


class TestMoments:
    @staticmethod
    def part(values, samples=(0,)):
        """A feature map of one channel and one voxel per sample."""
        return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1), torch.tensor(samples)

    def test_by_hand(self):
        """Means and variances of 1, 2 and 6."""
        parts = [self.part([value]) for value in (1.0, 2.0, 6.0)]
        assert moments(parts, (1, 1, 1), "cpu").flatten().tolist() == pytest.approx([3, 14 / 3])
        assert moments(parts, (1, 1, 1), "cpu", correction=1).flatten().tolist() == pytest.approx([3, 7])

    @pytest.mark.parametrize("correction", [0, 1])
    def test_each_sample_over_its_own_modalities(self, correction):
        """Sample 0 has 1 and 3, sample 1 has 5 alone, sample 2 nothing."""
        parts = [self.part([1.0, 5.0], (0, 1)), self.part([3.0])]
        found = moments(parts, (3, 1, 1), "cpu", correction)
        assert found[..., 0].tolist() == [[2, 1 + correction], [5, 0], [0, 0]]

    @pytest.mark.parametrize("number", [1, 2, 4])
    def test_as_torch_has_them(self, number):
        values = torch.randn(number, 2, 3, 4, 5, dtype=torch.float64)
        parts = [(value, torch.arange(2)) for value in values]
        mean, variance = moments(parts, (2, 3, 4, 5), "cpu").chunk(2, dim=1)
        torch.testing.assert_close(mean, values.mean(0))
        torch.testing.assert_close(variance, values.var(0, correction=0))

    def test_gradient_is_finite_where_the_variance_is_zero(self):
        features = torch.ones(2, 1, 3, requires_grad=True)
        moments([(features, torch.arange(2))], (2, 1, 3), "cpu").sum().backward()
        assert torch.equal(features.grad, torch.ones_like(features))

    def test_close_values_of_half_precision(self):
        """The variance of 1000 and 1001 is 1/4; a difference of float16's or float32's squares would lose it."""
        parts = [(torch.full((1, 1, 1), value).half(), torch.tensor([0])) for value in (1000.0, 1001.0)]
        found = moments(parts, (1, 1, 1), "cpu")
        assert found.dtype == torch.float32
        assert found.flatten().tolist() == [1000.5, 0.25]

    def test_nothing_present(self):
        assert moments([], (2, 3, 4), "cpu").eq(0).all()
