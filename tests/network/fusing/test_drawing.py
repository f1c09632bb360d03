"""A draw and the divergence by themselves: as torch has them, and their gradients by hand."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from nnunet_hetero.network.fusing.drawing import Draw, MeanDivergence, deviation_of, mean_of_divergence

SHAPE = (2, 3, 4)


def parts(seed: int = 0) -> list[torch.Tensor]:
    """Mean and log-variance."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]


def test_draw_and_its_gradients():
    mean, log_variance = parts()
    noise = torch.randn(SHAPE, dtype=torch.float64)
    draw = Draw.apply(mean, log_variance, noise, torch.float64)
    torch.testing.assert_close(draw, mean + (0.5 * log_variance).exp() * noise)
    torch.testing.assert_close(draw - mean, deviation_of(log_variance, noise))
    assert torch.autograd.gradcheck(lambda *both: Draw.apply(*both, noise, torch.float64), [mean, log_variance])


def test_noise_is_drawn_where_none_is_given():
    mean, log_variance = (torch.full((100_000,), value) for value in (3.0, -1.5))
    torch.manual_seed(0)
    draw = Draw.apply(mean, log_variance, None, torch.float32)
    assert draw.mean().item() == pytest.approx(3.0, abs=0.01)
    assert draw.std().item() == pytest.approx(0.4724, abs=0.01)  # e^(-1.5 / 2)


def test_gradient_comes_back_in_the_type_of_the_mean():
    mean, log_variance = (part.detach().float().requires_grad_() for part in parts())
    draw = Draw.apply(mean, log_variance, None, torch.bfloat16)
    draw.sum().backward()
    assert draw.dtype == torch.bfloat16
    assert mean.grad.dtype == log_variance.grad.dtype == torch.float32


def test_divergence_and_its_gradients():
    mean, log_variance = parts()
    normal = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(normal, Normal(torch.zeros_like(mean), torch.ones_like(mean))).mean()
    torch.testing.assert_close(MeanDivergence.apply(mean, log_variance), expected)
    torch.testing.assert_close(mean_of_divergence(mean, log_variance), expected)
    assert torch.autograd.gradcheck(MeanDivergence.apply, [mean, log_variance])
