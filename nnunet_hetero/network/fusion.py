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
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from nnunet_hetero.config import ELEMENTS
from nnunet_hetero.network.fusing.fusible import Fusible
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
        return _Draw.apply(*self, noise, decoder_type(self.mean), False)[0]

    def sample_and_divergence(self) -> tuple[Tensor, Tensor]:
        """A draw, and the divergence from N(0, I), the mean over all elements; in one pass, and one back."""
        return _Draw.apply(*self, None, decoder_type(self.mean), True)

    def point(self) -> Tensor:
        """The mean, of the type of a draw."""
        return self.mean.to(decoder_type(self.mean))


def decoder_type(latent: Tensor) -> torch.dtype:
    """What decoders compute in: autocast's type where it is on, else that of the latents."""
    device = latent.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else latent.dtype


class _Draw(torch.autograd.Function):
    """μ + σ·ε, and the divergence if it is asked for, with a gradient by hand that keeps σ·ε, μ and log σ² alone.

    ∂z/∂μ = 1, ∂z/∂log σ² = σ·ε/2; of the divergence see `kl_to_standard_normal`. Without noise it is drawn where it is
    used, so that a compiled kernel neither writes nor reads it.
    """

    @staticmethod
    def forward(
        context: Any,
        mean: Tensor,
        log_variance: Tensor,
        noise: Tensor | None,
        dtype: torch.dtype,
        with_divergence: bool,
    ) -> tuple[Tensor, Tensor | None]:
        context.dtype, context.with_divergence, divergence = mean.dtype, with_divergence, None
        if with_divergence:
            drawn, deviation, divergence = _drawn_and_divergence(mean, log_variance, noise, dtype)
            context.save_for_backward(deviation, mean, log_variance)
        else:
            drawn, deviation = _drawn(mean, log_variance, noise, dtype)
            context.save_for_backward(deviation)
        return drawn, divergence

    @staticmethod
    def backward(context: Any, gradient: Tensor, of_divergence: Tensor | None) -> tuple[Tensor | None, ...]:
        if context.with_divergence:
            found = _of_draw_and_divergence(gradient, of_divergence, *context.saved_tensors)
        else:
            found = _of_draw(gradient, *context.saved_tensors, context.dtype)
        return *found, None, None, None


@Fusible
def _drawn(mean: Tensor, log_variance: Tensor, noise: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    deviation = _deviation(log_variance, noise)
    # What is kept of it is as exact as the gradient that it will be multiplied with.
    return (mean + deviation).to(dtype), deviation.to(dtype)


@Fusible
def _drawn_and_divergence(
    mean: Tensor, log_variance: Tensor, noise: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    deviation = _deviation(log_variance, noise)
    divergence = _mean_of_divergence(mean, log_variance)
    return (mean + deviation).to(dtype), deviation.to(dtype), divergence


def _deviation(log_variance: Tensor, noise: Tensor | None) -> Tensor:
    noise = torch.randn_like(log_variance) if noise is None else noise
    return torch.mul(log_variance, 0.5).exp_().mul_(noise)


@Fusible
def _of_draw(gradient: Tensor, deviation: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    gradient = gradient.to(dtype)
    return gradient, torch.mul(gradient, deviation).mul_(0.5)


@Fusible
def _of_draw_and_divergence(
    gradient: Tensor, of_divergence: Tensor, deviation: Tensor, mean: Tensor, log_variance: Tensor
) -> tuple[Tensor, Tensor]:
    of_mean, of_log_variance = _gradient_of_divergence(mean, log_variance, of_divergence)
    return of_mean.add_(gradient), of_log_variance.add_(torch.mul(gradient.to(mean.dtype), deviation), alpha=0.5)


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
        self._sums: tuple[Tensor | None, Tensor | None] = (None, None)
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

    def _multiplied(self, last: bool) -> tuple[Tensor, Tensor]:
        group, self._waiting = self._waiting, []
        tensors = chain.from_iterable(source.tensors for source in group)
        plan = [(samples, head, len(own)) for samples, head, own in group]
        return Multiplied.apply(self._result, plan, last, *self._sums, *tensors)


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
    levels = [_MeanDivergence.apply(mean.float(), log_variance.float()) for mean, log_variance in posterior]
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


class _MeanDivergence(torch.autograd.Function):
    """KL of one level, with a gradient by hand that keeps nothing but its arguments."""

    @staticmethod
    def forward(context: Any, mean: Tensor, log_variance: Tensor) -> Tensor:
        context.save_for_backward(mean, log_variance)
        return _mean_divergence(mean, log_variance)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return _of_divergence(*context.saved_tensors, gradient)


@Fusible
def _mean_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    return _mean_of_divergence(mean, log_variance)


@Fusible
def _of_divergence(mean: Tensor, log_variance: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return _gradient_of_divergence(mean, log_variance, gradient)


def _mean_of_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * log_variance.exp().sub_(log_variance).addcmul_(mean, mean).mean() - 0.5


def _gradient_of_divergence(mean: Tensor, log_variance: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    scale = gradient / mean.numel()
    return mean * scale, log_variance.exp().sub_(1).mul_(0.5 * scale)
