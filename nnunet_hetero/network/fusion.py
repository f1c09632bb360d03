"""Fusion: how what is known from each present modality becomes one.

**Product of Gaussians.** Each present modality i says q(z | x_i) = N(μ_i, σ_i²) at every level. Together with the prior
N(0, I) they give

    1/σ² = 1 + Σ_{i∈π} 1/σ_i²        μ = σ² · Σ_{i∈π} μ_i / σ_i²

(Dorent et al., "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion and Segmentation", MICCAI 2019,
eq. 4, with its mean read as multiplied by σ²; the rule is that of Wu & Goodman, NeurIPS 2018). The prior is always in,
so that the empty set gives the prior and σ² never exceeds 1. Everything here is float32, also under autocast: a
precision of e^10 leaves float16 few steps, and sums of them overflow.

**Moments.** The mean and the variance of the feature maps over the present modalities (Havaei et al., "HeMIS:
Hetero-Modal Image Segmentation", MICCAI 2016, section 2). One modality has the variance 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nnunet_hetero.config import ELEMENTS


class Gaussian(NamedTuple):
    """A diagonal Gaussian.

    Attributes:
        mean: μ, ``(B, C, *spatial)``.
        log_variance: log σ², ``(B, C, *spatial)``.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Reparametrised draw μ + σ·ε, ε ~ N(0, I); same shape as the mean."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return _Draw.apply(self.mean, self.log_variance, noise)


class _Draw(torch.autograd.Function):
    """μ + σ·ε, with a gradient by hand that keeps σ·ε alone: ∂z/∂μ = 1, ∂z/∂log σ² = σ·ε/2."""

    @staticmethod
    def forward(context, mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
        deviation = torch.mul(log_variance, 0.5).exp_().mul_(noise)
        context.save_for_backward(deviation)
        return mean + deviation

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (deviation,) = context.saved_tensors
        return gradient, torch.mul(gradient, deviation).mul_(0.5), None


class Expert(NamedTuple):
    """What one modality says about those samples of a batch that have it.

    Attributes:
        parameters: μ_i and then log σ_i² of the modality's own posterior, ``(n, 2 * C, *spatial)``.
        samples: Which samples of the batch the n rows belong to, ``(n,)`` int64.
    """

    parameters: Tensor
    samples: Tensor


def product_of_gaussians(
    experts: Sequence[Expert],
    shape: Sequence[int],
    device: torch.device | str,
    max_abs_log_variance: float = math.inf,
) -> Gaussian:
    """Posterior of every sample given its own present modalities and the prior N(0, I).

    Args:
        experts: One per modality that is present in at least one sample; may be empty.
        shape: Shape of the result, ``(B, C, *spatial)``.
        device: Where the result lives.
        max_abs_log_variance: Clamp of the experts' |log σ_i²|.

    Returns:
        The fused Gaussian, ``(B, C, *spatial)``, float32 (float64 if all experts are); a sample without any modality
        has the prior, mean 0 and variance 1.
    """
    dtype = torch.float32
    if experts and all(expert.parameters.dtype == torch.float64 for expert in experts):
        dtype = torch.float64
    with torch.autocast(torch.device(device).type, enabled=False):
        zeros = torch.zeros(tuple(shape), device=device, dtype=dtype)
        samples = [expert.samples for expert in experts]
        return Gaussian(
            *_Product.apply(zeros, max_abs_log_variance, samples, *(expert.parameters.to(dtype) for expert in experts))
        )


class _Product(torch.autograd.Function):
    """Mean and log-variance of the product with the prior; its gradient by hand takes less time and memory.

    With P = 1/σ² and p_i = 1/σ_i²: ∂μ/∂μ_i = p_i/P, ∂μ/∂p_i = (μ_i - μ)/P, ∂log σ²/∂p_i = -1/P.
    """

    @staticmethod
    def forward(
        context, zeros: Tensor, bound: float, samples: Sequence[Tensor], *experts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``zeros`` has the result's shape, ``experts`` are the parameters of each."""
        precision, weighted = torch.ones_like(zeros), torch.zeros_like(zeros)
        for rows, parameters in zip(samples, experts, strict=True):
            mean, log_variance = parameters.chunk(2, dim=1)
            expert_precision = log_variance.clamp(-bound, bound).neg_().exp_()
            precision.index_add_(0, rows, expert_precision)
            weighted.index_add_(0, rows, expert_precision.mul_(mean))
        mean = weighted.div_(precision)
        context.bound, context.samples = bound, samples
        context.save_for_backward(mean, precision, *experts)
        return mean, precision.log().neg_()

    @staticmethod
    def backward(context, mean_gradient: Tensor, log_variance_gradient: Tensor) -> tuple[Tensor | None, ...]:
        fused_mean, precision, *experts = context.saved_tensors
        weight = mean_gradient / precision
        rest = (log_variance_gradient / precision).addcmul_(weight, fused_mean)
        gradients = []
        for rows, parameters in zip(context.samples, experts, strict=True):
            mean, log_variance = parameters.chunk(2, dim=1)
            gradient = torch.empty_like(parameters)
            of_mean, of_log_variance = gradient.chunk(2, dim=1)
            expert_precision = log_variance.clamp(-context.bound, context.bound).neg_().exp_()
            torch.mul(weight[rows], expert_precision, out=of_mean)
            torch.mul(rest[rows], expert_precision, out=of_log_variance).addcmul_(of_mean, mean, value=-1)
            of_log_variance.masked_fill_(log_variance.abs() > context.bound, 0)
            gradients.append(gradient)
        return None, None, None, *gradients


def kl_to_standard_normal(posterior: Sequence[Gaussian], average: str = ELEMENTS) -> Tensor:
    """Kullback-Leibler divergence of the fused posterior from the prior N(0, I).

    KL = ½ (μ² + σ² - log σ² - 1), the mean over latent elements.

    Args:
        posterior: The Gaussian of every level, each ``(B, C, *spatial)``.
        average: ``"elements"``: all elements count alike, as in a variational autoencoder. ``"levels"``: all levels
            count alike, so that an element of a coarse level counts as much more as the level has fewer of them.

    Returns:
        A float32 scalar, in nats per latent element.
    """
    levels = [_MeanDivergence.apply(mean.float(), log_variance.float()) for mean, log_variance in posterior]
    weights = [level.mean.numel() if average == ELEMENTS else 1 for level in posterior]
    return sum(weight * level for weight, level in zip(weights, levels, strict=True)) / sum(weights)


class _MeanDivergence(torch.autograd.Function):
    """KL of one level, with a gradient by hand that keeps nothing but its arguments."""

    @staticmethod
    def forward(context, mean: Tensor, log_variance: Tensor) -> Tensor:
        context.save_for_backward(mean, log_variance)
        return 0.5 * log_variance.exp().sub_(log_variance).addcmul_(mean, mean).mean() - 0.5

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = context.saved_tensors
        scale = gradient / mean.numel()
        return mean * scale, log_variance.exp().sub_(1).mul_(0.5 * scale)


def moments(
    parts: Sequence[tuple[Tensor, Tensor]],
    shape: Sequence[int],
    device: torch.device | str,
    correction: int = 0,
) -> Tensor:
    """Mean and variance over each sample's own present modalities.

    Args:
        parts: Feature map of one modality, ``(n, C, *spatial)``, and the samples of the batch that its rows belong to,
            ``(n,)`` int64; one for each modality that is present in at least one sample; may be empty.
        shape: Shape of one moment, ``(B, C, *spatial)``.
        device: Where the result lives.
        correction: The sum of squares is divided by the number of modalities less this: 0 for the variance of the
            present modalities themselves, 1 for the unbiased estimate.

    Returns:
        ``(B, 2 * C, *spatial)``, means before variances, float32 (float64 if all parts are); the variance of a single
        modality is 0, and so are both moments of a sample without any.
    """
    dtype = torch.float32
    if parts and all(features.dtype == torch.float64 for features, _ in parts):
        dtype = torch.float64
    count = torch.zeros(shape[0], device=device, dtype=dtype)
    for _, samples in parts:
        count = count.index_add(0, samples, torch.ones(len(samples), device=device, dtype=dtype))
    count = count.view(-1, *[1] * (len(shape) - 1))
    with torch.autocast(torch.device(device).type, enabled=False):
        mean = torch.zeros(tuple(shape), device=device, dtype=dtype)
        for features, samples in parts:
            mean = mean.index_add(0, samples, features.to(dtype))
        mean = mean / count.clamp(min=1)
        # In two passes: the difference of two large sums of squares would lose the variance of close values.
        squares = torch.zeros_like(mean)
        for features, samples in parts:
            squares = squares.index_add(0, samples, (features.to(dtype) - mean[samples]).square())
        return torch.cat([mean, squares / (count - correction).clamp(min=1)], dim=1)
