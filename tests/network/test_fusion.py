"""The product of Gaussians against torch.distributions, and its numerics."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal

from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusion import Expert, Gaussian, Product, kl_to_standard_normal, product_of_gaussians

SHAPE = (3, 2, 4)
CLAMP = 10.0


def random_gaussian(seed: int, shape=SHAPE, dtype=torch.float64) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, *shape, generator=generator, dtype=dtype)
    return Gaussian(2 * mean, log_variance)


def everyone(gaussian: Gaussian) -> Expert:
    """An expert on all samples of the batch."""
    return Expert(torch.cat(gaussian, dim=1), Rows.of(range(len(gaussian.mean))))


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
        samples = [Rows.of(rows) for rows in ([0, 2], [0], [0, 1, 2])]
        mixed = [
            Expert(rows.pick(torch.cat(expert, dim=1)), rows) for expert, rows in zip(experts, samples, strict=True)
        ]
        fused = product_of_gaussians(mixed, SHAPE, "cpu")
        for row, subset in enumerate([(0, 1, 2), (2,), (0, 2)]):
            alone = fuse(*(experts[number] for number in subset))
            torch.testing.assert_close(fused.mean[row], alone.mean[row])
            torch.testing.assert_close(fused.log_variance[row], alone.log_variance[row])

    def test_sample_of_nobody_is_the_prior(self):
        expert = Expert(torch.cat(random_gaussian(0, (1, *SHAPE[1:])), dim=1), Rows.of([1]))
        mean, log_variance = product_of_gaussians([expert], SHAPE, "cpu")
        assert not mean[[0, 2]].any()
        assert not log_variance[[0, 2]].any()
        assert mean[1].all()


class TestGradient:
    def test_as_differences_have_it(self):
        """In a batch whose samples have different experts, or none; consecutive and scattered ones."""
        samples = [Rows.of([0, 2]), Rows.of([2]), Rows.of([0, 1, 4])]
        experts = [torch.cat(random_gaussian(seed, (len(rows), 2, 3)), dim=1) for seed, rows in enumerate(samples)]

        def fused(*parameters):
            return product_of_gaussians(list(map(Expert, parameters, samples)), (5, 2, 3), "cpu", 10.0)

        assert torch.autograd.gradcheck(fused, [expert.requires_grad_() for expert in experts])

    def test_of_a_head_made_again(self):
        """The same gradients, of features and of the head's weights, as if its output had been kept."""
        torch.manual_seed(0)
        head, samples = torch.nn.Conv1d(3, 4, 1).double(), Rows.of([0, 2])
        features = torch.randn(2, 3, 5, dtype=torch.float64)
        found = []
        for again in (False, True):
            leaf = features.clone().requires_grad_()
            product = Product((3, 2, 5), "cpu", 10.0, torch.float64)
            if again:
                product.multiply_head(samples, leaf, head)
            else:
                product.multiply(Expert(head(leaf), samples))
            mean, log_variance = product.posterior()
            found.append(torch.autograd.grad(mean.sin().sum() + log_variance.sum(), (leaf, *head.parameters())))
        for kept, made_again in zip(*found, strict=True):
            torch.testing.assert_close(made_again, kept)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize(("log_variance", "leads_back"), [(12.0, 1), (-12.0, -1)])
    def test_beyond_the_clamp_only_what_leads_back_passes(self, dtype, log_variance, leads_back):
        """A descent goes against the gradient: above the clamp a positive one leads back, below a negative one."""
        for direction in (1, -1):
            parameters = torch.full((1, 2, 4), log_variance, dtype=dtype)
            parameters[:, 0] = 1
            leaf = parameters.requires_grad_()
            fused = product_of_gaussians([Expert(leaf, Rows.of([0]))], (1, 1, 4), "cpu", CLAMP)
            # log σ² rises with the expert's own.
            (1000 * direction * fused.log_variance.sum()).backward()
            gradient = leaf.grad[:, 1]
            if direction == leads_back:
                assert (gradient * direction > 0).all()
            else:
                assert (gradient == 0).all()

    def test_a_log_variance_beyond_the_clamp_comes_back(self):
        leaf = torch.tensor([[[0.0], [14.0]]], requires_grad=True)
        optimizer = torch.optim.SGD([leaf], lr=1e3)
        for _ in range(40):
            optimizer.zero_grad()
            fused = product_of_gaussians([Expert(leaf, Rows.of([0]))], (1, 1, 1), "cpu", CLAMP)
            (fused.log_variance + 5).square().sum().backward()
            optimizer.step()
            if leaf[0, 1] < CLAMP:
                return
        raise AssertionError(f"still at {leaf[0, 1].item()}")

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_goes_back_in_the_type_of_the_expert(self, dtype):
        """And is that of float32, rounded."""
        gradients = []
        for kind in (dtype, torch.float32):
            expert = torch.cat(random_gaussian(0), dim=1).to(dtype).to(kind).requires_grad_()
            mean, log_variance = product_of_gaussians([Expert(expert, Rows.of([0, 1, 2]))], SHAPE, "cpu", CLAMP)
            (mean.square().sum() + log_variance.sum()).backward()
            gradients.append(expert.grad)
        assert [gradient.dtype for gradient in gradients] == [dtype, torch.float32]
        torch.testing.assert_close(gradients[0], gradients[1].to(dtype))


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

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("log_variances", [(CLAMP,) * 5, (-CLAMP,) * 5, (-CLAMP, CLAMP, -CLAMP, CLAMP, 0.0)])
    def test_finite_at_the_clamp(self, log_variances, dtype):
        parts = [
            (torch.full(SHAPE, 100.0, dtype=dtype), torch.full(SHAPE, value, dtype=dtype)) for value in log_variances
        ]
        leaves = [leaf.requires_grad_() for part in parts for leaf in part]
        fused = fuse(*(Gaussian(*part) for part in parts))
        (fused.mean.sum() + fused.log_variance.exp().sum() + fused.sample().sum()).backward()
        assert all(torch.isfinite(value).all() for value in (*fused, *(leaf.grad for leaf in leaves)))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_extremes_of_half_precision(self, dtype):
        """The largest numbers that the type has, infinite log-variances among them: the sums stay float32's."""
        largest = torch.finfo(dtype).max
        parts = [torch.full((1, 1, 4), value, dtype=dtype) for value in (100.0, -largest, largest)]
        leaves = [torch.cat([parts[0], log_variance], dim=1).requires_grad_() for log_variance in parts[1:]]
        fused = product_of_gaussians([Expert(leaf, Rows.of([0])) for leaf in leaves], (1, 1, 4), "cpu", CLAMP)
        precision = 1 + math.exp(CLAMP) + math.exp(-CLAMP)
        torch.testing.assert_close(fused.log_variance, torch.full((1, 1, 4), -math.log(precision)))
        torch.testing.assert_close(fused.mean, torch.full((1, 1, 4), 100 * (precision - 1) / precision))
        with torch.autocast("cpu", dtype=dtype):
            draw = fused.sample(torch.Generator().manual_seed(0))
        (draw.float().sum() + fused.log_variance.sum()).backward()
        assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)

    @pytest.mark.parametrize("number", [8, 32])
    def test_many_sure_experts_do_not_overflow_float16(self, number):
        """Their precisions sum to 176 000 and more, the largest number of float16 is 65 504."""
        expert = torch.cat([torch.full(SHAPE, 2.0), torch.full(SHAPE, -CLAMP)], dim=1).half()
        fused = product_of_gaussians([Expert(expert, Rows.of([0, 1, 2]))] * number, SHAPE, "cpu", CLAMP)
        torch.testing.assert_close(fused.log_variance.exp().reciprocal(), torch.full(SHAPE, 1 + number * math.exp(10)))
        torch.testing.assert_close(fused.mean, torch.full(SHAPE, 2.0), rtol=1e-5, atol=0)


class TestSample:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_leaves_in_the_type_of_autocast(self, dtype):
        """Rounded from float32, noise and all."""
        gaussian = Gaussian(*(part.float() for part in random_gaussian(0)))
        exact = gaussian.sample(torch.Generator().manual_seed(1))
        with torch.autocast("cpu", dtype=dtype):
            draw, point = gaussian.sample(torch.Generator().manual_seed(1)), gaussian.point()
        assert exact.dtype == torch.float32
        assert torch.equal(draw, exact.to(dtype)) and torch.equal(point, gaussian.mean.to(dtype))

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

    def test_with_its_divergence(self):
        gaussian = random_gaussian(0)
        torch.manual_seed(1)
        drawn = gaussian.drawn()
        torch.manual_seed(1)
        assert drawn.posterior is gaussian and torch.equal(drawn.latent, gaussian.sample())
        assert drawn.divergence == kl_to_standard_normal([gaussian])

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_divergence_stays_float32_under_autocast(self, dtype):
        mean, log_variance = (part.float().requires_grad_() for part in random_gaussian(0))
        with torch.autocast("cpu", dtype=dtype):
            _, draw, divergence = Gaussian(mean, log_variance).drawn()
        assert draw.dtype == dtype and divergence.dtype == torch.float32
        (draw.float().sum() + divergence).backward()
        assert mean.grad.dtype == log_variance.grad.dtype == torch.float32


def prior() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(SHAPE, dtype=torch.float64), torch.zeros(SHAPE, dtype=torch.float64)
