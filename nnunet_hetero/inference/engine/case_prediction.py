"""From one preprocessed case to its prediction: all folds, views, tiles and draws of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunet_hetero.errors import DataError, SettingsError, the_case
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions, Statement
from nnunet_hetero.inference.engine.effort import Effort, with_memory_at_hand
from nnunet_hetero.inference.engine.input_look import check_inputs
from nnunet_hetero.inference.engine.latent_draws import DrawStatistics, binary_entropy, draws_of, region_entropies
from nnunet_hetero.inference.engine.model import LoadedModel, Weights
from nnunet_hetero.inference.engine.tiling import padded_to_tile, threads_of_nnunet, window_of
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.extent import voxel_size
from nnunet_hetero.nnunet.regions import RegionDecoder
from nnunet_hetero.reliability.input_verdict import InputVerdict, warning
from nnunet_hetero.reliability.temperature import scaled


def require_image_decoders(network: HeteroNetwork, sampling: SamplingOptions) -> None:
    """Refuse to complete with a model that cannot.

    Raises:
        SettingsError: If completion is asked for and the model has no image decoders.
    """
    if sampling.save_completed and not network.completes_images:
        raise SettingsError(
            "Completion is asked for, but the model was trained without image decoders (its trainer has none, or "
            "hetero_modal.image_decoders is false in its plans). Leave --save_completed out, or train a model with "
            "image decoders."
        )


def require_calibration(model: LoadedModel) -> None:
    """Refuse what a model cannot do that has no calibration, none that holds, or one that knows nothing about it.

    Raises:
        SettingsError: If it is asked for.
    """
    asked = [*(["--calibrated"] if model.sampling.calibrated else []), *model.demands.flags]
    if asked and model.calibration is None:
        raise SettingsError(f"{', '.join(asked)}: {model.uncalibrated or 'The model has no calibration.'}")
    if model.calibration is not None:
        model.demands.require(model.calibration.calibration)


def require_modalities(model: LoadedModel, available: Sequence[bool], case: str) -> None:
    """Refuse a case that lacks what the network cannot do without.

    Raises:
        DataError: If it does.
    """
    required = model.network.required or ()
    absent = [channel for channel in required if not available[channel]]
    if absent:
        label = model.modalities.label
        raise DataError(
            f"{the_case(case)} has no {label(absent)}, but the model is for {label(required)} alone and needs all of "
            "it. Predict the case with a model of another subset, or with one for all subsets."
        )


def channels_to_complete(sampling: SamplingOptions, available: Sequence[bool]) -> tuple[int, ...]:
    """Which channels to decode images of, ascending."""
    if sampling.save_completed is None:
        return ()
    return tuple(channel for channel, has in enumerate(available) if sampling.save_completed == "all" or not has)


def preprocessed_voxel_size(properties: dict, spatial: Sequence[int]) -> float:
    """Size of a voxel of the preprocessed grid: millilitres, or of a 2D image mm²; NaN if nobody knows.

    From the grid's real extent: nnU-Net rounds shapes, so its voxels are not exactly of the plan's spacing.

    Args:
        properties: Those of the preprocessed case.
        spatial: Shape of the preprocessed case.
    """
    voxels = np.prod(properties["shape_after_cropping_and_before_resampling"])
    return float(voxel_size(properties).size * voxels / np.prod(spatial))


def _require_finite(output: Tensor, case: str) -> None:
    if not all(bool(channel.isfinite().all()) for channel in output):
        raise DataError(
            f"{the_case(case)}: the network's output is NaN or infinite, which would look like an empty segmentation. "
            "Its images have values unlike those of the training, or the training has diverged: choose another "
            "checkpoint with -chk."
        )


@torch.inference_mode()
def predict_preprocessed(
    model: LoadedModel,
    data: Tensor,
    case: str,
    sampling: SamplingOptions | None = None,
    voxel_volume: float | None = None,
    *,
    segment: bool = True,
) -> CasePrediction:
    """Everything that the options ask for, with probabilities averaged over tiles, views, draws and folds.

    Args:
        model: The model.
        data: ``(M, *spatial)``; the modalities whose channel is not identically zero are available, in every tile.
        case: Name of the case; with the seed it settles the draws.
        sampling: Number of draws, what to complete, whether to keep uncertainty; default the model's.
        voxel_volume: Of a voxel, see `preprocessed_voxel_size`; None leaves out what is said of each region's size.
        segment: Whether to segment at all; completion alone is faster. Without, the logits have no channel.

    Raises:
        DataError: If the case has no modality, or the network's output is not finite.
    """
    sampling = sampling or model.sampling
    regions = RegionDecoder(model.label_manager)
    uncertain = sampling.save_uncertainty and segment
    decide = voxel_volume is not None and segment
    available = (data != 0).flatten(1).any(dim=1)
    require_modalities(model, available.tolist(), case)
    completed = channels_to_complete(sampling, available.tolist())
    total: DrawStatistics | None = None
    completion: Tensor | None = None
    of_folds: list[Statement] = []
    padded, crop = padded_to_tile(model, data)
    heads = model.label_manager.num_segmentation_heads if segment else 0
    entropies = uncertain and sampling.num_samples > 0

    def predict(weights: Weights, fold: int, effort: Effort) -> tuple[DrawStatistics, Tensor]:
        # Folds draw apart, as their latents differ.
        key = (sampling.seed, case, fold)
        window = window_of(model, weights, key, tuple(padded.shape[1:]), effort)
        run = window.run(padded, available, draws_of(sampling.num_samples, len(window.views)), heads, completed)
        statistics = DrawStatistics(regions, decide, entropies)
        for probabilities in run.probabilities():
            statistics.add(probabilities[crop])
        return statistics.cpu(), run.completion[crop].cpu()

    with threads_of_nnunet():
        for fold, weights in enumerate(model.parameters):
            draws, images = with_memory_at_hand(model, partial(predict, weights, fold))
            if decide and voxel_volume is not None:
                of_folds.append(draws.statement(voxel_volume))
            if total is None or completion is None:
                total, completion = draws, images
            else:
                total.merge(draws)
                completion = completion + images
    if total is None or completion is None:
        raise SettingsError("The model has no weights. Load at least one fold.")
    prediction: dict[str, Any] = {
        "used": tuple(available.nonzero().flatten().tolist()),
        "draws": total.number if sampling.num_samples else 0,
        "completed": completed,
    }
    if completed:
        _require_finite(completion, case)
        prediction["completion"] = (completion / len(model.parameters)).numpy()
    if not segment:
        return CasePrediction(logits=np.zeros((0, *data.shape[1:]), np.float32), **prediction)
    mean = total.mean_probability()
    _require_finite(mean, case)
    if sampling.save_uncertainty:
        entropy = region_entropies(regions, mean)
        prediction["entropy"] = entropy.numpy()
        if sampling.num_samples:
            prediction["mutual_information"] = total.mutual_information(entropy).numpy()
        if sampling.calibrated and model.calibration is not None:
            temperatures = model.calibration.temperatures(model.modalities.label(prediction["used"]))
            for place, channel in enumerate(regions.channels):
                calibrated = scaled(mean[channel].float().numpy(), temperatures[place]).astype(np.float32)
                entropy[place] = binary_entropy(torch.from_numpy(calibrated))
    if decide and voxel_volume is not None:
        prediction["volumes"] = total.voxels().numpy() * voxel_volume if sampling.num_samples else None
        prediction["of_folds"] = tuple(of_folds)
        prediction["statement"] = of_folds[0] if len(of_folds) == 1 else total.statement(voxel_volume)
    return CasePrediction(logits=regions.into_logits(mean).numpy(), **prediction)


def predict_case(model: LoadedModel, data: Tensor, properties: dict, case: str) -> CasePrediction:
    """Segment one preprocessed case, and compute whatever else the model's options ask for.

    Args:
        model: The model.
        data: As in `predict_preprocessed`.
        properties: Those of the preprocessed case.
        case: Its name; with the seed it settles the draws.

    Raises:
        SettingsError: If something is asked for that needs a calibration, and there is none for it.
    """
    require_calibration(model)
    inputs = checked_inputs(model, data, case)
    voxel_volume = preprocessed_voxel_size(properties, data.shape[1:]) if model.measures_regions else None
    return replace(predict_preprocessed(model, data, case, voxel_volume=voxel_volume), inputs=inputs)


def checked_inputs(model: LoadedModel, data: Tensor, case: str) -> tuple[InputVerdict, ...]:
    """What the checks say of each image of a case; empty without a calibration that holds such checks.

    Args:
        model: The model.
        data: As in `predict_preprocessed`.
        case: Its name.

    Raises:
        DataError: If an image is suspicious, and the user wants such cases to fail.
    """
    checks = None if model.calibration is None else model.calibration.calibration.input_checks
    if checks is None:
        return ()
    found = tuple(check_inputs(model, checks, data))
    doubt = warning(case, found)
    if doubt and model.demands.refuse_suspicious:
        raise DataError(f"{doubt} Mend or leave out these images, or predict without --refuse_suspicious.")
    return found
