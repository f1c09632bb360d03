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

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


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
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class Expert(NamedTuple):
    """What one modality says about those samples of a batch that have it.

    Attributes:
        gaussian: Posterior of this modality alone, ``(n, C, *spatial)``.
        samples: Which samples of the batch the n rows belong to, ``(n,)`` int64.
    """

    gaussian: Gaussian
    samples: Tensor


def product_of_gaussians(experts: Sequence[Expert], shape: Sequence[int], device: torch.device | str) -> Gaussian:
    """Posterior of every sample given its own present modalities and the prior N(0, I).

    Args:
        experts: One per modality that is present in at least one sample; may be empty.
        shape: Shape of the result, ``(B, C, *spatial)``.
        device: Where the result lives.

    Returns:
        The fused Gaussian, ``(B, C, *spatial)``, float32 (float64 if all experts are); a sample without any modality
        has the prior, mean 0 and variance 1.
    """
    dtype = torch.float32
    if experts and all(expert.gaussian.mean.dtype == torch.float64 for expert in experts):
        dtype = torch.float64
    with torch.autocast(torch.device(device).type, enabled=False):
        precision = torch.ones(tuple(shape), device=device, dtype=dtype)
        weighted_mean = torch.zeros(tuple(shape), device=device, dtype=dtype)
        for (mean, log_variance), samples in experts:
            expert_precision = torch.exp(-log_variance.to(dtype))
            weighted = mean.to(dtype) * expert_precision
            # In place: out of place, every expert would cost a copy of the whole batch.
            precision.index_add_(0, samples, expert_precision)
            weighted_mean.index_add_(0, samples, weighted)
        return Gaussian(weighted_mean / precision, -torch.log(precision))


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
