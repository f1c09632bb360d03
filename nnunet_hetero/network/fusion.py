"""Product of Gaussians: how the posteriors of the present modalities become one.

Each present modality i says q(z | x_i) = N(μ_i, σ_i²) at every level. Together with the prior N(0, I) they give

    1/σ² = 1 + Σ_{i∈π} 1/σ_i²        μ = σ² · Σ_{i∈π} μ_i / σ_i²

(Dorent et al., "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion and Segmentation", MICCAI 2019,
eq. 4, with its mean read as multiplied by σ²; the rule is that of Wu & Goodman, NeurIPS 2018). The prior is always in,
so that the empty set gives the prior and σ² never exceeds 1. Everything here is float32, also under autocast: a
precision of e^10 leaves float16 few steps, and sums of them overflow.
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
            if len(samples) == shape[0]:
                precision = precision + expert_precision
                weighted_mean = weighted_mean + weighted
            else:
                precision = precision.index_add(0, samples, expert_precision)
                weighted_mean = weighted_mean.index_add(0, samples, weighted)
        return Gaussian(weighted_mean / precision, -torch.log(precision))
