"""One preprocessed case from several subsets of its modalities, with each tile encoded once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions
from nnunet_hetero.inference.engine.effort import Effort, with_memory_at_hand
from nnunet_hetero.inference.engine.latent_draws import draws_of
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.sliding_window import Maps
from nnunet_hetero.inference.engine.tiling import padded_to_tile, threads_of_nnunet, window_of
from nnunet_hetero.modalities import Subset, mask_of
from nnunet_hetero.nnunet.regions import RegionDecoder


class Target(NamedTuple):
    """What is wanted of one subset of the modalities.

    Attributes:
        subset: The channels to encode from.
        completed: The channels to complete, ascending.
    """

    subset: Subset
    completed: tuple[int, ...] = ()


@torch.inference_mode()
def predict_subsets(
    model: LoadedModel,
    data: Tensor,
    case: str,
    targets: Sequence[Target],
    sampling: SamplingOptions,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Iterator[CasePrediction]:
    """Segment a case from several subsets of its modalities; one result for each, in order.

    A tile is encoded once for as many subsets as have room for their maps in `sliding_window.ACCUMULATOR_BYTES`. The
    results are those of `predict_preprocessed` for each subset alone, without volumes and uncertainty.

    Args:
        model: The model.
        data: ``(M, *spatial)``, with the modalities of all subsets, none of them zero everywhere.
        case: Name of the case; with the seed it settles the draws, the same ones for every subset.
        targets: The subsets.
        sampling: Number of draws.
        on_progress: Called with the share of all tiles that has been done since the last call.
    """
    regions = RegionDecoder(model.label_manager)
    padded, crop = padded_to_tile(model, data)
    heads = model.label_manager.num_segmentation_heads
    for group in _groups(targets, [(heads + len(target.completed)) * padded[0].nbytes for target in targets]):
        share = len(group) / len(targets)
        tell = partial(_scaled, on_progress, share)
        with threads_of_nnunet():
            predict = partial(_predict, model, padded, case, group, sampling, tell)
            maps, coverage, folds = with_memory_at_hand(model, predict)
        while maps:
            one = maps.pop(0)
            weight = coverage[crop[1:]] * len(one.draws) * folds
            mean = one.segmentation[crop].div_(weight).cpu().contiguous()
            completion = (one.completion[crop] / weight).cpu().numpy() if one.completed else None
            yield CasePrediction(
                used=tuple(one.subset.nonzero().flatten().tolist()),
                draws=len(one.draws) * folds if sampling.num_samples else 0,
                logits=regions.into_logits(mean).numpy(),
                completion=completion,
                completed=one.completed,
            )


def _groups(targets: Sequence[Target], sizes: Sequence[int]) -> Iterator[list[Target]]:
    """Consecutive targets whose maps, of the given bytes, are filled at the same time."""
    group: list[Target] = []
    total = 0
    for target, size in zip(targets, sizes, strict=True):
        if group and total + size > sliding_window.ACCUMULATOR_BYTES:
            yield group
            group, total = [], 0
        group.append(target)
        total += size
    if group:
        yield group


def _scaled(tell: Callable[[float], None], factor: float, share: float) -> None:
    tell(factor * share)


def _predict(
    model: LoadedModel,
    data: Tensor,
    case: str,
    targets: Sequence[Target],
    sampling: SamplingOptions,
    on_progress: Callable[[float], None],
    effort: Effort,
) -> tuple[list[Maps], Tensor, int]:
    """Maps of every target added up over all folds, the coverage by tiles, and the number of folds."""
    results_device = effort.results_device
    data = data.to(results_device)
    spatial = tuple(data.shape[1:])
    heads = model.label_manager.num_segmentation_heads
    maps: list[Maps] = []
    folds = len(model.parameters)
    for fold, weights in enumerate(model.parameters):
        window = window_of(model, weights, (sampling.seed, case, fold), spatial, effort)
        maps = maps or [
            Maps(
                torch.from_numpy(mask_of(target.subset, len(data))),
                draws_of(sampling.num_samples, len(window.views)),
                torch.zeros((heads, *spatial), device=results_device),
                target.completed,
                torch.zeros((len(target.completed), *spatial), device=results_device),
            )
            for target in targets
        ]
        window.add(data, maps, partial(_scaled, on_progress, 1 / folds))
    return maps, window.coverage(spatial), folds
