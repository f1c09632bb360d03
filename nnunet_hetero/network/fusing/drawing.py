"""The arithmetic of a draw from a Gaussian and of its divergence from N(0, I), and their gradients by hand.

See `nnunet_hetero.network.fusion` for what they are for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnunet_hetero.network.fusing.fusible import Fusible


class Draw(torch.autograd.Function):
    """μ + σ·ε, with a gradient by hand that keeps σ·ε alone: ∂z/∂μ = 1, ∂z/∂log σ² = σ·ε/2.

    Without noise it is drawn where it is used, so that a compiled kernel neither writes nor reads it.
    """

    @staticmethod
    def forward(context: Any, mean: Tensor, log_variance: Tensor, noise: Tensor | None, dtype: torch.dtype) -> Tensor:
        context.dtype = mean.dtype
        drawn, deviation = _drawn(mean, log_variance, noise, dtype)
        context.save_for_backward(deviation)
        return drawn

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *_of_draw(gradient, *context.saved_tensors, context.dtype), None, None


class MeanDivergence(torch.autograd.Function):
    """KL of one level, with a gradient by hand that keeps nothing but its arguments."""

    @staticmethod
    def forward(context: Any, mean: Tensor, log_variance: Tensor) -> Tensor:
        context.save_for_backward(mean, log_variance)
        return _mean_divergence(mean, log_variance)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return _of_divergence(*context.saved_tensors, gradient)


def deviation_of(log_variance: Tensor, noise: Tensor | None) -> Tensor:
    """σ·ε; without noise ε is drawn."""
    noise = torch.randn_like(log_variance) if noise is None else noise
    return torch.mul(log_variance, 0.5).exp_().mul_(noise)


def mean_of_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """½ (μ² + σ² - log σ² - 1), the mean over all elements."""
    return 0.5 * log_variance.exp().sub_(log_variance).addcmul_(mean, mean).mean() - 0.5


@Fusible
def _drawn(mean: Tensor, log_variance: Tensor, noise: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    deviation = deviation_of(log_variance, noise)
    # What is kept of it is as exact as the gradient that it will be multiplied with.
    return (mean + deviation).to(dtype), deviation.to(dtype)


@Fusible
def _of_draw(gradient: Tensor, deviation: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    gradient = gradient.to(dtype)
    return gradient, torch.mul(gradient, deviation).mul_(0.5)


@Fusible
def _mean_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean_of_divergence(mean, log_variance)


@Fusible
def _of_divergence(mean: Tensor, log_variance: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    scale = gradient / mean.numel()
    return mean * scale, log_variance.exp().sub_(1).mul_(0.5 * scale)
