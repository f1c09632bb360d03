"""The product of Gaussians against torch.distributions, and its numerics."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal

from nnunet_hetero.network.fusion import Expert, Gaussian, moments, product_of_gaussians

SHAPE = (3, 2, 4)
CLAMP = 10.0


def random_gaussian(seed: int, shape=SHAPE, dtype=torch.float64) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, *shape, generator=generator, dtype=dtype)
    return Gaussian(2 * mean, log_variance)


def everyone(gaussian: Gaussian) -> Expert:
    """An expert on all samples of the batch."""
    return Expert(torch.cat(gaussian, dim=1), torch.arange(len(gaussian.mean)))


def as_normal(gaussian: Gaussian) -> Normal:
    return Normal(gaussian.mean, torch.exp(0.5 * gaussian.log_variance))


def fuse(*gaussians: Gaussian) -> Gaussian:
    return product_of_gaussians([everyone(gaussian) for gaussian in gaussians], SHAPE, "cpu")


class TestIsTheProductOfDensities:
    @pytest.mark.parametrize("number", [1, 2, 4])
    def test_moments_of_the_normalised_product(self, number):
        experts = [random_gaussian(seed) for seed in range(number)]
        fused = fuse(*experts)
        grid = torch.linspace(-15, 15, 6001, dtype=torch.float64).view(-1, 1, 1, 1)
        density = torch.exp(sum(as_normal(expert).log_prob(grid) for expert in [*experts, Gaussian(*prior())]))
        density = density / density.sum(0)
        mean = (density * grid).sum(0)
        variance = (density * (grid - mean).square()).sum(0)
        assert fused.mean.dtype == torch.float64
        torch.testing.assert_close(fused.mean, mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(fused.log_variance.exp(), variance, rtol=1e-9, atol=1e-9)

    def test_log_densities_differ_by_a_constant(self):
        experts = [random_gaussian(seed) for seed in range(3)]
        points = torch.linspace(-4, 4, 9, dtype=torch.float64).view(-1, 1, 1, 1)
        product = sum(as_normal(expert).log_prob(points) for expert in [*experts, Gaussian(*prior())])
        difference = product - as_normal(fuse(*experts)).log_prob(points)
        torch.testing.assert_close(difference, difference[:1].expand_as(difference))

    def test_one_expert_and_the_prior(self):
        expert = random_gaussian(0)
        fused, variance = fuse(expert), expert.log_variance.exp()
        torch.testing.assert_close(fused.mean, expert.mean / (1 + variance))
        torch.testing.assert_close(fused.log_variance.exp(), variance / (1 + variance))

    def test_nothing_present_is_the_prior(self):
        mean, log_variance = fuse()
        assert mean.shape == log_variance.shape == SHAPE
        assert not mean.any()
        assert not log_variance.any()

    def test_order_of_modalities_does_not_matter(self):
        experts = [random_gaussian(seed) for seed in range(4)]
        for one, other in zip(fuse(*experts), fuse(*reversed(experts)), strict=True):
            torch.testing.assert_close(one, other)

    def test_every_expert_makes_it_surer(self):
        experts = [random_gaussian(seed) for seed in range(4)]
        variances = [fuse(*experts[:number]).log_variance for number in range(5)]
        assert all((after < before).all() for before, after in pairwise(variances))
        assert (variances[0] == 0).all()


class TestBatchOfDifferentSubsets:
    def test_each_sample_is_fused_from_its_own(self):
        experts = [random_gaussian(seed) for seed in range(3)]
        samples = [torch.tensor(rows) for rows in ([0, 2], [0], [0, 1, 2])]
        mixed = [Expert(torch.cat(expert, dim=1)[rows], rows) for expert, rows in zip(experts, samples, strict=True)]
        fused = product_of_gaussians(mixed, SHAPE, "cpu")
        for row, subset in enumerate([(0, 1, 2), (2,), (0, 2)]):
            alone = fuse(*(experts[number] for number in subset))
            torch.testing.assert_close(fused.mean[row], alone.mean[row])
            torch.testing.assert_close(fused.log_variance[row], alone.log_variance[row])

    def test_sample_of_nobody_is_the_prior(self):
        expert = Expert(torch.cat(random_gaussian(0, (1, *SHAPE[1:])), dim=1), torch.tensor([1]))
        mean, log_variance = product_of_gaussians([expert], SHAPE, "cpu")
        assert not mean[[0, 2]].any()
        assert not log_variance[[0, 2]].any()
        assert mean[1].all()


class TestGradient:
    def test_as_differences_have_it(self):
        """In a batch whose samples have different experts, or none; some log-variances are clamped."""
        samples = [torch.tensor([0, 2]), torch.tensor([2]), torch.tensor([1, 0])]
        experts = [torch.cat(random_gaussian(seed, (len(rows), 2, 3)), dim=1) for seed, rows in enumerate(samples)]
        assert max(expert[:, 2:].abs().max() for expert in experts) > 1.5

        def fused(*parameters):
            return product_of_gaussians(list(map(Expert, parameters, samples)), (4, 2, 3), "cpu", 1.5)

        assert torch.autograd.gradcheck(fused, [expert.requires_grad_() for expert in experts])


class TestNumerics:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_float32_under_autocast(self, dtype):
        experts = [Gaussian(*(part.to(dtype) for part in random_gaussian(seed))) for seed in range(3)]
        expected = fuse(*(Gaussian(*(part.float() for part in expert)) for expert in experts))
        everybody = [everyone(expert) for expert in experts]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fused = product_of_gaussians(everybody, SHAPE, "cpu")
        for found, wanted in zip(fused, expected, strict=True):
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    @pytest.mark.parametrize("log_variances", [(CLAMP,) * 5, (-CLAMP,) * 5, (-CLAMP, CLAMP, -CLAMP, CLAMP, 0.0)])
    def test_finite_at_the_clamp(self, log_variances, dtype):
        parts = [
            (torch.full(SHAPE, 100.0, dtype=dtype), torch.full(SHAPE, value, dtype=dtype)) for value in log_variances
        ]
        leaves = [leaf.requires_grad_() for part in parts for leaf in part]
        fused = fuse(*(Gaussian(*part) for part in parts))
        (fused.mean.sum() + fused.log_variance.exp().sum() + fused.sample().sum()).backward()
        assert all(torch.isfinite(value).all() for value in (*fused, *(leaf.grad for leaf in leaves)))


class TestSample:
    def test_moments(self):
        gaussian = Gaussian(torch.full((200_000,), 3.0), torch.full((200_000,), -1.5))
        draw = gaussian.sample(torch.Generator().manual_seed(0))
        assert draw.mean().item() == pytest.approx(3.0, abs=0.01)
        # σ, not σ²: exp(-0.75) = 0.47, exp(-1.5) = 0.22.
        assert draw.std().item() == pytest.approx(0.4724, abs=0.01)

    def test_seeded(self):
        gaussian = random_gaussian(0)
        first, second, other = (gaussian.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, second)
        assert not torch.equal(first, other)

    def test_gradient_of_mean_and_variance(self):
        mean, log_variance = (part.requires_grad_() for part in random_gaussian(0))
        draw = Gaussian(mean, log_variance).sample(torch.Generator().manual_seed(1))
        draw.sum().backward()
        assert (mean.grad == 1).all()
        torch.testing.assert_close(log_variance.grad, (0.5 * (draw - mean)).detach())

    def test_gradient_by_hand(self):
        torch.manual_seed(0)
        parts = [torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]

        def draw(mean, log_variance):
            return Gaussian(mean, log_variance).sample(torch.Generator().manual_seed(1))

        assert torch.autograd.gradcheck(draw, parts)


def prior() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(SHAPE, dtype=torch.float64), torch.zeros(SHAPE, dtype=torch.float64)


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
