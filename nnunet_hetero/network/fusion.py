"""Fusion: how what is known from each present modality becomes one.

**Product of Gaussians.** Each present modality i says q(z | x_i) = N(μ_i, σ_i²) at every level. Together with the prior
N(0, I) they give

    1/σ² = 1 + Σ_{i∈π} 1/σ_i²        μ = σ² · Σ_{i∈π} μ_i / σ_i²

(Dorent et al., "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion and Segmentation", MICCAI 2019,
eq. 4, with its mean read as multiplied by σ²; the rule is that of Wu & Goodman, NeurIPS 2018). The prior is always in,
so that the empty set gives the prior and σ² never exceeds 1. Sums, precisions, variances, noise and divergence are
float32, also under autocast: a precision of e^10 leaves float16 few steps, and sums of them overflow. What comes in and
what goes back as gradient has the type that the modality's encoder computes in, and a draw leaves in that type.

The product is two sums over the modalities, so modalities are added one by one, as they are encoded (`Product`). In the
backward pass each then waits with nothing but its own features, and its encoder's gradient is done before the next one
is begun: memory does not grow with what all of them would make at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nnunet_hetero.config import ELEMENTS
from nnunet_hetero.network.fusing.fusible import Fusible, multiply_into
from nnunet_hetero.network.fusing.rows import Rows

PIECE = 2**25
"""Elements of a modality's parameters that are worked on at a time, whole samples; in float32 that is 128 MiB."""

Head = Callable[[Tensor], Tensor]
"""From features ``(n, F, *spatial)`` to the parameters of an `Expert`."""


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
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return _Draw.apply(self.mean, self.log_variance, noise, decoder_type(self.mean))

    def point(self) -> Tensor:
        """The mean, of the type of a draw."""
        return self.mean.to(decoder_type(self.mean))


def decoder_type(latent: Tensor) -> torch.dtype:
    """What decoders compute in: autocast's type where it is on, else that of the latents."""
    device = latent.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else latent.dtype


class _Draw(torch.autograd.Function):
    """μ + σ·ε, with a gradient by hand that keeps σ·ε alone: ∂z/∂μ = 1, ∂z/∂log σ² = σ·ε/2."""

    @staticmethod
    def forward(context, mean: Tensor, log_variance: Tensor, noise: Tensor, dtype: torch.dtype) -> Tensor:
        drawn, deviation = _drawn(mean, log_variance, noise, dtype)
        context.save_for_backward(deviation)
        return drawn

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (deviation,) = context.saved_tensors
        return *_of_draw(gradient, deviation, torch.promote_types(gradient.dtype, torch.float32)), None, None


@Fusible
def _drawn(mean: Tensor, log_variance: Tensor, noise: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    deviation = torch.mul(log_variance, 0.5).exp_().mul_(noise)
    # What is kept of it is as exact as the gradient that it will be multiplied with.
    return (mean + deviation).to(dtype), deviation.to(dtype)


@Fusible
def _of_draw(gradient: Tensor, deviation: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    gradient = gradient.to(dtype)
    return gradient, torch.mul(gradient, deviation).mul_(0.5)


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
        # -P and W of `_Factor`.
        self._sums = (
            torch.full(tuple(shape), -1.0, device=device, dtype=dtype),
            torch.zeros(tuple(shape), device=device, dtype=dtype),
        )
        self._bound = max_abs_log_variance

    def multiply(self, expert: Expert) -> None:
        """Multiply a modality in."""
        self._multiply(expert.samples, None, expert.parameters)

    def multiply_head(self, samples: Rows, features: Tensor, head: torch.nn.Module) -> None:
        """Multiply a modality in whose parameters are made again for the gradient, instead of being kept.

        Args:
            samples: Which samples of the batch have it.
            features: Of its encoder, ``(n, F, *spatial)``.
            head: Makes the expert's parameters of them.
        """
        self._multiply(samples, head, features, *head.parameters())

    def _multiply(self, samples: Rows, head: Head | None, features: Tensor, *weights: Tensor) -> None:
        self._sums = _Factor.apply(*self._sums, self._bound, samples, head, features, *weights)

    def posterior(self) -> Gaussian:
        """The product; nothing may be multiplied in afterwards."""
        return Gaussian(*_Normalised.apply(*self._sums))


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


class _Factor(torch.autograd.Function):
    """Adds p = 1/σ_i² to the sum of precisions P, and p·μ_i to the weighted sum W, both in place.

    ∂/∂μ_i = p·∂W, ∂/∂log σ_i² = p·(∂(-P) - μ_i·∂W), where the sums' gradients are the same for all modalities. Kept is
    -P instead of P: its gradient is what every modality needs.
    """

    @staticmethod
    def forward(
        context,
        negated: Tensor,
        weighted: Tensor,
        bound: float,
        samples: Rows,
        head: Head | None,
        features: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """``features`` are the parameters themselves without a head; ``weights`` are the head's."""
        parameters = features if head is None else head(features)
        device = features.device.type
        context.bound, context.samples, context.head = bound, samples, head
        context.autocast = (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        context.save_for_backward(features, *weights)
        context.mark_dirty(negated, weighted)
        with torch.autocast(device, enabled=False):
            for place, rows in samples.pieces(_samples_of_a_piece(parameters)):
                if isinstance(rows.index, slice):
                    _add_expert(negated[rows.index], weighted[rows.index], parameters[place], bound)
                else:
                    precision, product = _weighted_mean(parameters[place], bound, negated.dtype)
                    negated.index_add_(0, rows.index, precision, alpha=-1)
                    weighted.index_add_(0, rows.index, product)
        return negated, weighted

    @staticmethod
    def backward(context, of_negated: Tensor, of_weighted: Tensor) -> tuple[Tensor | None, ...]:
        features, *weights = context.saved_tensors
        if context.head is None:
            gradients: tuple[Tensor, ...] = (_of_parameters(context, features, of_negated, of_weighted),)
        else:
            enabled, dtype = context.autocast
            with torch.enable_grad(), torch.autocast(features.device.type, dtype=dtype, enabled=enabled):
                given = features.detach().requires_grad_()
                parameters = context.head(given)
            gradient = _of_parameters(context, parameters.detach(), of_negated, of_weighted)
            gradients = torch.autograd.grad(parameters, (given, *weights), gradient)
        return of_negated, of_weighted, None, None, None, *gradients


def _of_parameters(context, parameters: Tensor, of_negated: Tensor, of_weighted: Tensor) -> Tensor:
    """Gradient of an expert's parameters, in their type."""
    gradient = torch.empty_like(parameters)
    for place, rows in context.samples.pieces(_samples_of_a_piece(parameters)):
        _write_gradient(
            gradient[place], parameters[place], rows.pick(of_negated), rows.pick(of_weighted), context.bound
        )
    return gradient


def _samples_of_a_piece(parameters: Tensor) -> int:
    return max(1, PIECE // max(1, parameters[0].numel())) if len(parameters) else 1


@Fusible
def _add_expert(negated: Tensor, weighted: Tensor, parameters: Tensor, bound: float) -> None:
    mean, log_variance = parameters.chunk(2, dim=1)
    precision = _precision(log_variance.clamp(-bound, bound), negated.dtype)
    negated.sub_(precision)
    weighted.addcmul_(precision, mean)


@Fusible
def _weighted_mean(parameters: Tensor, bound: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    mean, log_variance = parameters.chunk(2, dim=1)
    precision = _precision(log_variance.clamp(-bound, bound), dtype)
    return precision, precision * mean


@Fusible
def _write_gradient(
    gradient: Tensor, parameters: Tensor, of_negated: Tensor, of_weighted: Tensor, bound: float
) -> None:
    mean, log_variance = parameters.chunk(2, dim=1)
    of_mean, of_log_variance = gradient.chunk(2, dim=1)
    clamped = log_variance.clamp(-bound, bound)
    precision = _precision(clamped, of_negated.dtype)
    multiply_into(of_mean, precision, of_weighted)
    multiply_into(of_log_variance, precision, torch.addcmul(of_negated, of_weighted, mean, value=-1))
    # A step goes against the gradient: beyond the clamp what would lead further out is held back.
    of_log_variance.masked_fill_((log_variance - clamped).mul_(of_log_variance) < 0, 0)


def _precision(log_variance: Tensor, dtype: torch.dtype) -> Tensor:
    """1/σ², in a type of its own."""
    return multiply_into(torch.empty_like(log_variance, dtype=dtype), log_variance, -1).exp_()


class _Normalised(torch.autograd.Function):
    """μ = W/P and log σ² = -log P, with a gradient that keeps nothing but the two.

    ∂W = ∂μ/P, ∂(-P) = (∂μ·μ + ∂log σ²)/P.
    """

    @staticmethod
    def forward(context, negated: Tensor, weighted: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = _normalised(negated, weighted)
        context.save_for_backward(mean, log_variance)
        return mean, log_variance

    @staticmethod
    def backward(context, of_mean: Tensor, of_log_variance: Tensor) -> tuple[Tensor, Tensor]:
        return _of_sums(*context.saved_tensors, of_mean, of_log_variance)


@Fusible
def _normalised(negated: Tensor, weighted: Tensor) -> tuple[Tensor, Tensor]:
    precision = negated.neg()
    return weighted / precision, precision.log_().neg_()


@Fusible
def _of_sums(mean: Tensor, log_variance: Tensor, of_mean: Tensor, of_log_variance: Tensor) -> tuple[Tensor, Tensor]:
    variance = log_variance.exp()
    of_weighted = of_mean * variance
    return variance.mul_(torch.addcmul(of_log_variance, of_mean, mean)), of_weighted


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
        return _mean_divergence(mean, log_variance)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return _of_divergence(*context.saved_tensors, gradient)


@Fusible
def _mean_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * log_variance.exp().sub_(log_variance).addcmul_(mean, mean).mean() - 0.5


@Fusible
def _of_divergence(mean: Tensor, log_variance: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    scale = gradient / mean.numel()
    return mean * scale, log_variance.exp().sub_(1).mul_(0.5 * scale)
