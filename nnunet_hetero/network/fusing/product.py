"""The arithmetic of the product of Gaussians: a group of modalities is multiplied in at once, and its gradient by hand.

See `nnunet_hetero.network.fusion` for the product itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from nnunet_hetero.network.fusing.drawing import deviation_of, mean_of_divergence
from nnunet_hetero.network.fusing.fusible import Fusible, multiply_into
from nnunet_hetero.network.fusing.rows import Rows

Head = Callable[[Tensor], Tensor]
"""From features ``(n, F, *spatial)`` to the parameters of an `Expert`."""

GRADIENTS = 2
"""Modalities whose gradients are made at once; fewer than are multiplied at once, since each takes the memory of its
parameters twice."""

Pair = Sequence[Tensor]
"""Two tensors of one sample, ``(C, voxels)`` each: -P and W, mean and log-variance, or gradients of either."""


class Source(NamedTuple):
    """Where the parameters of an expert come from.

    Attributes:
        samples: Which samples of the batch have it.
        head: Makes them of features; None if they are given.
        tensors: The features, or the parameters, and then the head's weights.
    """

    samples: Rows
    head: Head | None
    tensors: tuple[Tensor, ...]


class Result(NamedTuple):
    """What a product is to be: its shape ``(B, C, *spatial)``, place and type, and the clamp of |log σ_i²|."""

    shape: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype
    bound: float

    def empty(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Room for two sums, for mean and log-variance, or in another type for a draw and σ·ε."""
        first = torch.empty(self.shape, device=self.device, dtype=dtype or self.dtype)
        return first, torch.empty_like(first)


class Given(NamedTuple):
    """What the gradients of a group are made from, of all samples or, flat, of one.

    Attributes:
        posterior: Mean and log-variance; empty if the group is not the last.
        gradients: Of the two sums, of mean and log-variance, or of a draw alone.
        deviation: σ·ε of the draw; None if the gradients are none of a draw.
        of_divergence: Gradient of the mean divergence of a sample, a scalar; None if there is none.
    """

    posterior: Pair
    gradients: Pair
    deviation: Tensor | None = None
    of_divergence: Tensor | None = None

    @classmethod
    def of(cls, kept: Sequence[Tensor], gradients: Sequence[Tensor | None], result: Result) -> Given:
        """From what a group has kept beside its tensors, and the gradients of all that it gave, None where it is 0."""
        posterior, of_pair = kept[:2], gradients[:2]
        if len(kept) < 3:
            return cls(posterior, [_or_zero(one, result) for one in of_pair])
        deviation, (of_draw, of_divergence) = kept[2], gradients[2:]
        of_draw = _or_zero(of_draw, result, deviation.dtype)
        if all(one is None for one in of_pair):
            share = None if of_divergence is None else of_divergence / result.shape[0]
            return cls(posterior, [of_draw], deviation, share)
        # Somebody uses the posterior itself as well.
        by_draw = _gradients_of_posterior(cls(posterior, [of_draw], deviation, of_divergence), posterior[1].exp())
        return cls(posterior, [_or_zero(one, result) + other for one, other in zip(of_pair, by_draw, strict=True)])

    def of_sample(self, number: int) -> Given:
        """Of one sample of the batch, flat."""
        deviation = None if self.deviation is None else _flat(self.deviation[number])
        posterior, gradients = (_of_sample(pair, number) for pair in (self.posterior, self.gradients))
        return self._replace(posterior=posterior, gradients=gradients, deviation=deviation)


def _or_zero(gradient: Tensor | None, result: Result, dtype: torch.dtype | None = None) -> Tensor:
    if gradient is not None:
        return gradient
    return torch.zeros(result.shape, device=result.device, dtype=dtype or result.dtype)


class Multiplied(torch.autograd.Function):
    """Adds p = 1/σ_i² of each expert to the sum of precisions P, and p·μ_i to W; the last group gives W/P and -log P.

    ∂W = ∂μ/P, ∂(-P) = (∂μ·μ + ∂log σ²)/P; of each expert ∂μ_i = p·∂W, ∂log σ_i² = p·(∂(-P) - μ_i·∂W): the sums'
    gradients are the same for all. Kept is -P instead of P, since its gradient is what every expert needs.

    The last group also gives a draw z = μ + σ·ε and the mean divergence from N(0, I), if a draw is asked for. Its
    gradient is then made from those of z and of the divergence, in the same pass: those of μ and log σ² are never
    written.
    """

    @staticmethod
    def forward(
        context: Any,
        result: Result,
        plan: list[tuple[Rows, Head | None, int]],
        last: bool,
        drawn: torch.dtype | None,
        negated: Tensor | None,
        weighted: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """``plan`` has a row for each expert: its samples, its head, and how many of ``tensors`` are its own; ``drawn``
        is the type of the draw, None draws nothing."""
        context.result, context.plan = result, plan
        context.autocast = _autocast(result.device)
        context.set_materialize_grads(False)
        sources = _sources(plan, tensors)
        experts = [source.tensors[0] if source.head is None else source.head(source.tensors[0]) for source in sources]
        first = negated is None or weighted is None
        sums = result.empty() if negated is None or weighted is None else (negated, weighted)
        draw: Sequence[Tensor] = () if drawn is None else result.empty(drawn)
        divergences = []
        with torch.autocast(result.device.type, enabled=False):
            for sample in range(result.shape[0]):
                pair, into, own = _of_sample(sums, sample), _of_sample(draw, sample), _own(sources, experts, sample)
                if draw and first:
                    divergences.append(_drawn_product([*pair, *into], own, result.bound))
                elif draw:
                    divergences.append(_last_drawn_product(into, pair, own, result.bound))
                elif first:
                    (_product if last else _sums)(pair, own, result.bound)
                else:
                    (_last_product if last else _further_sums)(pair, own, result.bound)
        if not first:
            context.mark_dirty(*sums)
        outputs = (sums[1], sums[0]) if last else sums
        context.save_for_backward(*tensors, *(outputs if last else ()), *draw[1:])
        return outputs if drawn is None else (*outputs, draw[0], torch.stack(divergences).mean())

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        result, before = context.result, context.needs_input_grad[4]
        sources = _sources(context.plan, context.saved_tensors)
        number = sum(len(source.tensors) for source in sources)
        given = Given.of(context.saved_tensors[number:], gradients, result)
        found: list[Tensor] = []
        for start in range(0, len(sources), GRADIENTS):
            found += _of_sources(sources[start : start + GRADIENTS], context, given)
        of_sums: Sequence[Tensor | None] = (None, None) if not before else given.gradients
        if given.posterior and before:
            of_sums = into = result.empty()  # last, when what the experts took is free again
            for sample in range(result.shape[0]):
                _of_sums(_of_sample(into, sample), given.of_sample(sample))
        return None, None, None, None, *of_sums, *found


def _of_sources(sources: list[Source], context: Any, given: Given) -> list[Tensor]:
    """Gradients of the tensors of some experts."""
    features, experts = _made_again(sources, context.autocast)
    gradients = [torch.empty(one.shape, dtype=one.dtype, device=one.device) for one in experts]
    for sample in range(context.result.shape[0]):
        room, own = _own(sources, gradients, sample), _own(sources, experts, sample)
        _of_experts(room, given.of_sample(sample), own, context.result.bound)
    found: list[Tensor] = []
    for source, feature, expert, gradient in zip(sources, features, experts, gradients, strict=True):
        inputs = (feature, *source.tensors[1:])
        found += [gradient] if source.head is None else torch.autograd.grad(expert, inputs, gradient)
    return found


def _autocast(device: torch.device) -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)


def _sources(plan: list[tuple[Rows, Head | None, int]], tensors: Sequence[Tensor]) -> list[Source]:
    sources, start = [], 0
    for samples, head, number in plan:
        sources.append(Source(samples, head, tuple(tensors[start : start + number])))
        start += number
    return sources


def _made_again(sources: list[Source], autocast: tuple[bool, torch.dtype]) -> tuple[list[Tensor], list[Tensor]]:
    """What each head is given, and what it makes of it, so that a gradient can go back."""
    given, experts = [], []
    for source in sources:
        features = source.tensors[0].detach()
        given.append(features)
        if source.head is None:
            experts.append(features)
            continue
        enabled, dtype = autocast
        with torch.enable_grad(), torch.autocast(features.device.type, dtype=dtype, enabled=enabled):
            experts.append(source.head(features.requires_grad_()))
    return given, experts


def _own(sources: list[Source], experts: list[Tensor], sample: int) -> list[Tensor]:
    """What the experts of one sample of the batch have of it, ``(2 * C, voxels)`` each.

    Sample by sample no index is needed, whatever the subsets; and compiled, a kernel is made for each number of experts
    alone, not for each number of samples.
    """
    own = []
    for source, expert in zip(sources, experts, strict=True):
        if sample in source.samples.numbers:
            own.append(_flat(expert[source.samples.numbers.index(sample)].detach()))
    return own


def _of_sample(pair: Sequence[Tensor], sample: int) -> list[Tensor]:
    return [_flat(one[sample]) for one in pair]


def _flat(of_sample: Tensor) -> Tensor:
    return of_sample.reshape(len(of_sample), -1)


@Fusible
def _product(into: Pair, experts: list[Tensor], bound: float) -> None:
    _begin(into)
    _add_experts(into, experts, bound)
    _normalise(into)


@Fusible
def _drawn_product(into: list[Tensor], experts: list[Tensor], bound: float) -> Tensor:
    sums, draw = into[:2], into[2:]
    _begin(sums)
    _add_experts(sums, experts, bound)
    return _normalise_and_draw(draw, sums)


@Fusible
def _sums(into: Pair, experts: list[Tensor], bound: float) -> None:
    _begin(into)
    _add_experts(into, experts, bound)


@Fusible
def _further_sums(sums: Pair, experts: list[Tensor], bound: float) -> None:
    _add_experts(sums, experts, bound)


@Fusible
def _last_product(sums: Pair, experts: list[Tensor], bound: float) -> None:
    _add_experts(sums, experts, bound)
    _normalise(sums)


@Fusible
def _last_drawn_product(into: Pair, sums: Pair, experts: list[Tensor], bound: float) -> Tensor:
    _add_experts(sums, experts, bound)
    return _normalise_and_draw(into, sums)


def _begin(into: Pair) -> None:
    """The prior, -1 and 0."""
    negated, weighted = into
    negated.fill_(-1.0)
    weighted.zero_()


def _add_experts(sums: Pair, experts: list[Tensor], bound: float) -> None:
    negated, weighted = sums
    for parameters in experts:
        mean, log_variance = parameters.chunk(2)
        precision = _precision(log_variance.clamp(-bound, bound), negated.dtype)
        negated.sub_(precision)
        weighted.addcmul_(precision, mean)


def _normalise(sums: Pair) -> None:
    """From -P and W to log σ² and μ."""
    negated, weighted = sums
    weighted.div_(negated.neg_())
    negated.log_().neg_()


def _normalise_and_draw(into: Pair, sums: Pair) -> Tensor:
    """A draw, and how far it is from the mean, as exact as the gradient that it will be multiplied with; divergence."""
    _normalise(sums)
    log_variance, mean = sums
    deviation = deviation_of(log_variance, None)
    for room, value in zip(into, (mean + deviation, deviation), strict=True):
        room.copy_(value)
    return mean_of_divergence(mean, log_variance)


@Fusible
def _of_sums(into: Pair, given: Given) -> None:
    for room, gradient in zip(into, _gradients_of_sums(given), strict=True):
        room.copy_(gradient)


@Fusible
def _of_experts(into: list[Tensor], given: Given, experts: list[Tensor], bound: float) -> None:
    _write_gradients(into, _gradients_of_sums(given), experts, bound)


def _gradients_of_sums(given: Given) -> Pair:
    """In place where they can be: each map of its own takes memory where nothing is compiled."""
    if not given.posterior:
        return given.gradients
    mean, log_variance = given.posterior
    variance = log_variance.exp()
    if given.deviation is None:
        of_mean, of_log_variance = given.gradients
        of_negated = torch.addcmul(of_log_variance, of_mean, mean)
    else:
        of_mean, of_log_variance = _gradients_of_posterior(given, variance)
        of_negated = of_log_variance.addcmul_(of_mean, mean)
    return of_negated.mul_(variance), variance.mul_(of_mean)


def _gradients_of_posterior(given: Given, variance: Tensor) -> Pair:
    """Of mean and log-variance, from those of a draw and of the divergence."""
    gradient, deviation = given.gradients[0].to(variance.dtype), cast(Tensor, given.deviation)
    of_log_variance = torch.mul(gradient, deviation).mul_(0.5)
    if given.of_divergence is None:
        return gradient, of_log_variance
    scale = given.of_divergence / variance.numel()
    of_mean = torch.addcmul(gradient, given.posterior[0], scale)
    return of_mean, of_log_variance.addcmul_(variance, scale, value=0.5).sub_(scale, alpha=0.5)


def _write_gradients(into: list[Tensor], of_sums: Pair, experts: list[Tensor], bound: float) -> None:
    of_negated, of_weighted = of_sums
    for gradient, parameters in zip(into, experts, strict=True):
        mean, log_variance = parameters.chunk(2)
        of_mean, of_log_variance = gradient.chunk(2)
        clamped = log_variance.clamp(-bound, bound)
        precision = _precision(clamped, of_negated.dtype)
        multiply_into(of_mean, precision, of_weighted)
        multiply_into(of_log_variance, precision, torch.addcmul(of_negated, of_weighted, mean, value=-1))
        # A step goes against the gradient: beyond the clamp what would lead further out is held back.
        of_log_variance.masked_fill_((log_variance - clamped).mul_(of_log_variance) < 0, 0)


def _precision(log_variance: Tensor, dtype: torch.dtype) -> Tensor:
    """1/σ², in a type of its own."""
    return multiply_into(torch.empty_like(log_variance, dtype=dtype), log_variance, -1).exp_()
