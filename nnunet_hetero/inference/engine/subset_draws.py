"""One preprocessed case from several subsets of its modalities, with what is said of the regions from each.

What `subset_prediction` adds up over draws is kept apart here, for a decision per draw; that takes more memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions, Statement
from nnunet_hetero.inference.engine.effort import Effort, with_memory_at_hand
from nnunet_hetero.inference.engine.latent_draws import DrawStatistics, draws_of, mirrored_views
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.sliding_window import Maps
from nnunet_hetero.inference.engine.tiling import padded_to_tile, threads_of_nnunet, window_of
from nnunet_hetero.modalities import Subset, mask_of
from nnunet_hetero.nnunet.regions import RegionDecoder


@torch.inference_mode()
def draw_subsets(
    model: LoadedModel,
    data: Tensor,
    case: str,
    subsets: Sequence[Subset],
    sampling: SamplingOptions,
    voxel_size: float,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Iterator[CasePrediction]:
    """Segment a case from several subsets of its modalities; one result for each, in order.

    A tile is encoded once for as many subsets as have room for the maps of all of their draws in
    `sliding_window.ACCUMULATOR_BYTES`. The results are those of `predict_preprocessed` for each subset alone, without
    maps of uncertainty and completed images.

    Args:
        model: The model.
        data: ``(M, *spatial)``, with the modalities of all subsets, none of them zero everywhere.
        case: Name of the case; with the seed it settles the draws.
        subsets: Channels of each.
        sampling: Number of draws; 0 for the posterior's mean, and for a model without latents.
        voxel_size: Of a voxel, see `preprocessed_voxel_size`.
        on_progress: Called with the share of all tiles that has been done since the last call.
    """
    padded, crop = padded_to_tile(model, data)
    draws = len(draws_of(sampling.num_samples, len(mirrored_views(model.tiles.mirroring_axes))))
    of_subset = draws * model.label_manager.num_segmentation_heads * padded[0].nbytes
    at_once = max(1, sliding_window.ACCUMULATOR_BYTES // of_subset)
    alone = of_subset > sliding_window.ACCUMULATOR_BYTES
    plain = SamplingOptions(sampling.num_samples, sampling.seed)
    for start in range(0, len(subsets), at_once):
        group = subsets[start : start + at_once]
        if alone:  # the tiles are gone through several times for its draws
            mask = torch.from_numpy(mask_of(group[0], len(data))).view(-1, *[1] * (data.ndim - 1))
            yield predict_preprocessed(model, data * mask, case, plain, voxel_size)
            on_progress(1 / len(subsets))
            continue
        tell = partial(_scaled, on_progress, len(group) / len(subsets))
        with threads_of_nnunet():
            predict = partial(_predict, model, padded, crop, case, group, sampling, voxel_size, tell)
            found = with_memory_at_hand(model, predict)
        regions = RegionDecoder(model.label_manager)
        for subset, (total, of_folds) in zip(group, found, strict=True):
            statement = of_folds[0] if len(of_folds) == 1 else total.statement(voxel_size)
            yield CasePrediction(
                used=subset,
                draws=total.number if sampling.num_samples else 0,
                logits=regions.into_logits(total.mean_probability()).numpy(),
                volumes=total.voxels().numpy() * voxel_size if sampling.num_samples else None,
                statement=statement,
                of_folds=tuple(of_folds),
            )


def _scaled(tell: Callable[[float], None], factor: float, share: float) -> None:
    tell(factor * share)


def _predict(
    model: LoadedModel,
    data: Tensor,
    crop: tuple[slice, ...],
    case: str,
    subsets: Sequence[Subset],
    sampling: SamplingOptions,
    voxel_size: float,
    on_progress: Callable[[float], None],
    effort: Effort,
) -> list[tuple[DrawStatistics, list[Statement]]]:
    """Of each subset the sums over all draws and folds, and what each fold says alone."""
    data = data.to(effort.results_device)
    spatial = tuple(data.shape[1:])
    regions = RegionDecoder(model.label_manager)
    found: list[tuple[DrawStatistics, list[Statement]]] = []
    for fold, weights in enumerate(model.parameters):
        window = window_of(model, weights, (sampling.seed, case, fold), spatial, effort)
        shape = (model.label_manager.num_segmentation_heads, *spatial)
        draws = draws_of(sampling.num_samples, len(window.views))
        of_subsets = [_empty_maps(subset, len(data), draws, shape, data.device) for subset in subsets]
        window.add(
            data, list(chain.from_iterable(of_subsets)), partial(_scaled, on_progress, 1 / len(model.parameters))
        )
        coverage = window.coverage(spatial)
        for place in range(len(subsets)):
            statistics = DrawStatistics(regions, decide=True, entropies=False)
            for one in of_subsets[place]:
                statistics.add(one.segmentation.div_(coverage)[crop])
            of_subsets[place] = []
            said = statistics.cpu().statement(voxel_size)
            if fold:
                found[place][0].merge(statistics)
                found[place][1].append(said)
            else:
                found.append((statistics, [said]))
    return found


def _empty_maps(
    subset: Subset, channels: int, draws: Sequence, shape: tuple[int, ...], device: torch.device
) -> list[Maps]:
    """One for each draw."""
    mask = torch.from_numpy(mask_of(subset, channels))
    nothing = torch.zeros((0, *shape[1:]), device=device)
    return [Maps(mask, [draw], torch.zeros(shape, device=device), (), nothing) for draw in draws]
