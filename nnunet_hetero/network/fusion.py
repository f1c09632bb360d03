"""Fusion: how what is known from each present modality becomes one.

**Product of Gaussians.** Each present modality i says q(z | x_i) = N(μ_i, σ_i²) at every level. Together with the prior
N(0, I) they give

    1/σ² = 1 + Σ_{i∈π} 1/σ_i²        μ = σ² · Σ_{i∈π} μ_i / σ_i²

(Dorent et al., "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion and Segmentation", MICCAI 2019,
eq. 4, with its mean read as multiplied by σ²; the rule is that of Wu & Goodman, NeurIPS 2018). The prior is always in,
so that the empty set gives the prior and σ² never exceeds 1. Sums, precisions, variances, noise and divergence are
float32, also under autocast: a precision of e^10 leaves float16 few steps, and sums of them overflow. What comes in and
what goes back as gradient has the type that the modality's encoder computes in, and a draw leaves in that type.

The product is two sums over the modalities. Modalities are multiplied in as they are encoded, a `GROUP` of them at a
time (`Product`): what is in a group is read once, and the sums are neither written nor read in between. In the backward
pass a group waits with nothing but its modalities' features: its heads are computed again.
In training the last group gives a draw as well, in the same pass (`Product.drawn`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, cast

import torch
from torch import Tensor

from nnunet_hetero.config import ELEMENTS
from nnunet_hetero.network.fusing.drawing import Draw, MeanDivergence
from nnunet_hetero.network.fusing.product import Multiplied, Result, Source
from nnunet_hetero.network.fusing.rows import Rows

GROUP = 4
"""Modalities that are multiplied at once. More would be read in as few passes, but the parameters of all of them, and
their gradients, take memory at once."""


class Gaussian(NamedTuple):
    """A diagonal Gaussian.

    Attributes:
        mean: μ, ``(B, C, *spatial)``.
        log_variance: log σ², ``(B, C, *spatial)``.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Reparametrised draw μ + σ·ε, ε ~ N(0, I); of the mean's shape, under autocast of its type."""
        mean, noise = self.mean, None
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return Draw.apply(*self, noise, decoder_type(mean.device, mean.dtype))

    def drawn(self) -> Drawn:
        """With a draw and the divergence from N(0, I)."""
        return Drawn(self, self.sample(), kl_to_standard_normal([self]))

    def point(self) -> Tensor:
        """The mean, of the type of a draw."""
        return self.mean.to(decoder_type(self.mean.device, self.mean.dtype))


class Drawn(NamedTuple):
    """A diagonal Gaussian and a draw from it.

    Attributes:
        posterior: The Gaussian.
        latent: The draw, ``(B, C, *spatial)``, of the type that decoders compute in.
        divergence: Of the Gaussian from N(0, I), the mean over all elements in nats, a scalar.
    """

    posterior: Gaussian
    latent: Tensor
    divergence: Tensor


def decoder_type(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """What decoders compute in: autocast's type where it is on, else that of the latents."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else dtype


class Expert(NamedTuple):
    """What one modality says about those samples of a batch that have it.

    Attributes:
        parameters: μ_i and then log σ_i² of the modality's own posterior, ``(n, 2 * C, *spatial)``.
        samples: Which samples of the batch the n rows belong to.
    """

    parameters: Tensor
    samples: Rows


class Product:
    """The product of the prior N(0, I) with the modalities that were multiplied in, for every sample its own.

    Args:
        shape: ``(B, C, *spatial)``.
        device: Where it lives.
        max_abs_log_variance: Clamp of the experts' |log σ_i²|. Beyond it a gradient passes only if it leads back.
        dtype: Of sums and result.
    """

    def __init__(
        self,
        shape: Sequence[int],
        device: torch.device | str,
        max_abs_log_variance: float = math.inf,
        dtype: torch.dtype = torch.float32,
    ):
        self._result = Result(tuple(shape), torch.device(device), dtype, max_abs_log_variance)
        # -P and W of `Multiplied`; none before the first group.
        self._sums: tuple[Tensor | None, ...] = (None, None)
        self._waiting: list[Source] = []

    def multiply(self, expert: Expert) -> None:
        """Multiply a modality in."""
        self._multiply(Source(expert.samples, None, (expert.parameters,)))

    def multiply_head(self, samples: Rows, features: Tensor, head: torch.nn.Module) -> None:
        """Multiply a modality in whose parameters are made again for the gradient, instead of being kept.

        Args:
            samples: Which samples of the batch have it.
            features: Of its encoder, ``(n, F, *spatial)``.
            head: Makes the expert's parameters of them.
        """
        self._multiply(Source(samples, head, (features, *head.parameters())))

    def _multiply(self, source: Source) -> None:
        if len(self._waiting) == GROUP:
            self._sums = self._multiplied(last=False)
        self._waiting.append(source)
        if not torch.is_grad_enabled():
            # Without a gradient to come, features that wait are all that is kept of their encoder.
            self._sums = self._multiplied(last=False)

    def posterior(self) -> Gaussian:
        """The product; nothing may be multiplied in afterwards."""
        return Gaussian(*self._multiplied(last=True))

    def drawn(self) -> Drawn:
        """The product, a draw from it and its divergence, in the pass that multiplies the last modalities in."""
        drawn = decoder_type(self._result.device, self._result.dtype)
        mean, log_variance, latent, divergence = self._multiplied(last=True, drawn=drawn)
        return Drawn(Gaussian(mean, log_variance), latent, divergence)

    def _multiplied(self, last: bool, drawn: torch.dtype | None = None) -> tuple[Tensor, ...]:
        group, self._waiting = self._waiting, []
        tensors = chain.from_iterable(source.tensors for source in group)
        plan = [(samples, head, len(own)) for samples, head, own in group]
        return Multiplied.apply(self._result, plan, last, drawn, *self._sums, *tensors)


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
    product = Product(shape, device, max_abs_log_variance, dtype)
    for expert in experts:
        product.multiply(expert)
    return product.posterior()


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
    levels = [MeanDivergence.apply(mean.float(), log_variance.float()) for mean, log_variance in posterior]
    return average_of_levels(levels, posterior, average)


def average_of_levels(divergences: Sequence[Tensor], posterior: Sequence[Gaussian], average: str = ELEMENTS) -> Tensor:
    """The divergence of all levels from that of each, see `kl_to_standard_normal`.

    Args:
        divergences: Of every level, a scalar, its mean over elements.
        posterior: The Gaussian of every level.
        average: ``"elements"`` or ``"levels"``.
    """
    weights = [level.mean.numel() if average == ELEMENTS else 1 for level in posterior]
    weighted = [weight * level for weight, level in zip(weights, divergences, strict=True)]
    return cast(Tensor, sum(weighted)) / sum(weights)
