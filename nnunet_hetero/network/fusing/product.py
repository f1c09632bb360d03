"""The arithmetic of the product of Gaussians: a group of modalities is multiplied in at once, and its gradient by hand.

See `nnunet_hetero.network.fusion` for the product itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

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

    def empty(self) -> tuple[Tensor, Tensor]:
        """Room for two sums, or for mean and log-variance."""
        first = torch.empty(self.shape, device=self.device, dtype=self.dtype)
        return first, torch.empty_like(first)


class Multiplied(torch.autograd.Function):
    """Adds p = 1/σ_i² of each expert to the sum of precisions P, and p·μ_i to W; the last group gives W/P and -log P.

    ∂W = ∂μ/P, ∂(-P) = (∂μ·μ + ∂log σ²)/P; of each expert ∂μ_i = p·∂W, ∂log σ_i² = p·(∂(-P) - μ_i·∂W): the sums'
    gradients are the same for all. Kept is -P instead of P, since its gradient is what every expert needs.
    """

    @staticmethod
    def forward(
        context: Any,
        result: Result,
        plan: list[tuple[Rows, Head | None, int]],
        last: bool,
        negated: Tensor | None,
        weighted: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """``plan`` has a row for each expert: its samples, its head, and how many of ``tensors`` are its own."""
        context.result, context.plan, context.last = result, plan, last
        context.autocast = _autocast(result.device)
        sources = _sources(plan, tensors)
        experts = [source.tensors[0] if source.head is None else source.head(source.tensors[0]) for source in sources]
        first = negated is None or weighted is None
        sums = result.empty() if negated is None or weighted is None else (negated, weighted)
        with torch.autocast(result.device.type, enabled=False):
            for sample in range(result.shape[0]):
                pair, own = _of_sample(sums, sample), _own(sources, experts, sample)
                if first:
                    (_product if last else _sums)(pair, own, result.bound)
                else:
                    (_last_product if last else _further_sums)(pair, own, result.bound)
        if not first:
            context.mark_dirty(*sums)
        outputs = (sums[1], sums[0]) if last else sums
        context.save_for_backward(*tensors, *(outputs if last else ()))
        return outputs

    @staticmethod
    def backward(context: Any, *of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        result, before = context.result, context.needs_input_grad[3]
        sources = _sources(context.plan, context.saved_tensors)
        posterior = context.saved_tensors[-2:] if context.last else None
        found: list[Tensor] = []
        for start in range(0, len(sources), GRADIENTS):
            found += _of_sources(sources[start : start + GRADIENTS], context, posterior, of_outputs)
        of_sums: Sequence[Tensor | None] = (None, None) if not before else of_outputs
        if posterior is not None and before:
            of_sums = into = result.empty()  # last, when what the experts took is free again
            for sample in range(result.shape[0]):
                _of_sums(_of_sample(into, sample), _of_sample(posterior, sample), _of_sample(of_outputs, sample))
        return None, None, None, *of_sums, *found


def _of_sources(sources: list[Source], context: Any, posterior: Pair | None, of_output: Pair) -> list[Tensor]:
    """Gradients of the tensors of some experts, from those of the sums, or of the posterior if it is given."""
    given, experts = _made_again(sources, context.autocast)
    gradients = [torch.empty(one.shape, dtype=one.dtype, device=one.device) for one in experts]
    bound = context.result.bound
    for sample in range(context.result.shape[0]):
        room, own = _own(sources, gradients, sample), _own(sources, experts, sample)
        if posterior is None:
            _of_experts(room, _of_sample(of_output, sample), own, bound)
        else:
            _of_product(room, _of_sample(posterior, sample), _of_sample(of_output, sample), own, bound)
    found: list[Tensor] = []
    for source, features, expert, gradient in zip(sources, given, experts, gradients, strict=True):
        inputs = (features, *source.tensors[1:])
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


@Fusible
def _of_product(into: list[Tensor], posterior: Pair, of_posterior: Pair, experts: list[Tensor], bound: float) -> None:
    _write_gradients(into, _gradients_of_sums(posterior, of_posterior), experts, bound)


@Fusible
def _of_sums(into: Pair, posterior: Pair, of_posterior: Pair) -> None:
    for room, gradient in zip(into, _gradients_of_sums(posterior, of_posterior), strict=True):
        room.copy_(gradient)


@Fusible
def _of_experts(into: list[Tensor], of_sums: Pair, experts: list[Tensor], bound: float) -> None:
    _write_gradients(into, of_sums, experts, bound)


def _gradients_of_sums(posterior: Pair, of_posterior: Pair) -> Pair:
    (mean, log_variance), (of_mean, of_log_variance) = posterior, of_posterior
    variance = log_variance.exp()
    of_weighted = of_mean * variance
    return variance.mul_(torch.addcmul(of_log_variance, of_mean, mean)), of_weighted


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
