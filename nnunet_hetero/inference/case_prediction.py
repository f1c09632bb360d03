"""From one preprocessed case to its prediction: all folds, views, tiles and draws of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.helpers import empty_cache
from torch import Tensor

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.outputs import CasePrediction, SamplingOptions
from nnunet_hetero.inference.regions import RegionDecoder
from nnunet_hetero.inference.sampling import (
    DrawStatistics,
    binary_entropy,
    draws_of,
    generator_of,
    mirrored_views,
)
from nnunet_hetero.inference.sliding_window import SlidingWindow

if TYPE_CHECKING:
    from nnunet_hetero.inference.predictor import HeteroModalPredictor


def require_image_decoders(network: torch.nn.Module, sampling: SamplingOptions) -> None:
    """Refuse to complete with a model that cannot.

    Raises:
        SettingsError: If completion is asked for and the model has no image decoders.
    """
    if sampling.save_completed and not len(network.image_decoders):
        raise SettingsError(
            "Completion is asked for, but the model was trained without image decoders (hetero_modal.image_decoders is "
            "false in its plans). Leave --save_completed out, or train a model with image decoders."
        )


def channels_to_complete(sampling: SamplingOptions, available: Sequence[bool]) -> tuple[int, ...]:
    """Which channels to decode images of, ascending."""
    if sampling.save_completed is None:
        return ()
    return tuple(channel for channel, has in enumerate(available) if sampling.save_completed == "all" or not has)


def millilitres_per_voxel(properties: dict, spatial: Sequence[int]) -> float:
    """Volume of a voxel of the preprocessed grid.

    From the grid's real extent: nnU-Net rounds shapes, so its voxels are not exactly of the plan's spacing.

    Args:
        properties: Those of the preprocessed case.
        spatial: Shape of the preprocessed case.
    """
    before = np.prod(properties["spacing"]) * np.prod(properties["shape_after_cropping_and_before_resampling"])
    return float(before / np.prod(spatial) / 1000)


@torch.inference_mode()
def predict_preprocessed(
    predictor: HeteroModalPredictor,
    data: Tensor,
    case: str,
    sampling: SamplingOptions,
    voxel_volume: float | None = None,
    *,
    segment: bool = True,
    parameters: Sequence[dict | None] | None = None,
) -> CasePrediction:
    """Everything that the options ask for, with probabilities averaged over tiles, views, draws and folds.

    Args:
        predictor: The model, and nnU-Net's settings of the sliding window.
        data: ``(M, *spatial)``; the modalities whose channel is not identically zero are available, in every tile.
        case: Name of the case; with the seed it settles the draws.
        sampling: Number of draws, what to complete, whether to keep uncertainty.
        voxel_volume: Millilitres; None leaves volumes and disagreement out.
        segment: Whether to segment at all; completion alone is faster. Without, the logits have no channel.
        parameters: Weights of each fold; default the predictor's. An entry None takes the network as it is.
    """
    regions = RegionDecoder(predictor.label_manager)
    uncertain = sampling.save_uncertainty and segment
    decide = voxel_volume is not None and sampling.num_samples > 0 and segment
    available = (data != 0).flatten(1).any(dim=1)
    completed = channels_to_complete(sampling, available.tolist())
    total, completion = None, None
    parameters = predictor.list_of_parameters if parameters is None else parameters
    with _threads_of_nnunet():
        for fold, weights in enumerate(parameters):
            network = _ready_network(predictor, weights)
            # Folds draw apart, as their latents differ.
            window = _Fold(predictor, network, (sampling.seed, case, fold))
            draws = DrawStatistics(regions, decide, uncertain and sampling.num_samples > 0)
            draws, images = window.predict(data, available, draws, sampling.num_samples, completed, segment)
            if total is None:
                total, completion = draws, images
            else:
                total.merge(draws)
                completion = completion + images
    prediction = {
        "used": tuple(available.nonzero().flatten().tolist()),
        "draws": total.number if sampling.num_samples else 0,
        "completed": completed,
    }
    if completed:
        prediction["completion"] = (completion / len(parameters)).numpy()
    if not segment:
        return CasePrediction(logits=np.zeros((0, *data.shape[1:]), np.float32), **prediction)
    mean = total.mean_probability()
    if sampling.save_uncertainty:
        entropy = binary_entropy(regions.probabilities(mean))
        prediction["entropy"] = entropy.numpy()
        if sampling.num_samples:
            prediction["mutual_information"] = total.mutual_information(entropy).numpy()
    if decide:
        prediction["volumes"] = total.voxels().numpy() * voxel_volume
        prediction["disagreement"] = total.disagreement().numpy()
    return CasePrediction(logits=regions.logits(mean).numpy(), **prediction)


class _Fold:
    """The network of one fold, and how it goes over a case."""

    def __init__(self, predictor: HeteroModalPredictor, network: torch.nn.Module, key: tuple[int | str, ...]):
        self.predictor = predictor
        self.network = network
        self.key = key

    def predict(
        self,
        data: Tensor,
        available: Tensor,
        empty: DrawStatistics,
        num_samples: int,
        completed: Sequence[int],
        segment: bool,
    ) -> tuple[DrawStatistics, Tensor]:
        """Draws and completed images of one case, on the CPU."""
        arguments = (data, available, num_samples, completed, segment)
        device = self.predictor.device
        if self.predictor.perform_everything_on_device and device.type == "cuda":
            try:
                return self._predict_on(device, empty.like(), *arguments)
            except RuntimeError as error:
                print(f"Prediction on the device failed ({error}). Trying again with the results in the CPU's memory.")
                empty_cache(device)
        return self._predict_on(torch.device("cpu"), empty, *arguments)

    def _predict_on(
        self, results_device, statistics, data, available, num_samples, completed, segment
    ) -> tuple[DrawStatistics, Tensor]:
        predictor, patch = self.predictor, self.predictor.configuration_manager.patch_size
        padded, crop = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
        views = mirrored_views(predictor.allowed_mirroring_axes if predictor.use_mirroring else None)
        weights = torch.ones(tuple(patch), device=results_device)
        if predictor.use_gaussian:
            weights = compute_gaussian(tuple(patch), 1 / 8, 10, torch.float32, results_device)
        window = SlidingWindow(
            self.network,
            predictor.label_manager.apply_inference_nonlin,
            predictor._internal_get_sliding_window_slicers(padded.shape[1:]),
            weights,
            views,
            predictor.device,
            results_device,
            lambda view, tile, draw: generator_of(predictor.device, *self.key, view, tile, draw),
            predictor.allow_tqdm,
        )
        crop = (slice(None), *crop[1:])
        heads = predictor.label_manager.num_segmentation_heads if segment else 0
        # nnU-Net's rule: autocast on CUDA only.
        with torch.autocast("cuda") if predictor.device.type == "cuda" else contextlib.nullcontext():
            run = window.run(padded, available, draws_of(num_samples, len(views)), heads, completed)
            for probabilities in run.probabilities():
                statistics.add(probabilities[crop])
        return statistics.cpu(), run.completion[crop].cpu()


def _ready_network(predictor: HeteroModalPredictor, weights: dict | None) -> torch.nn.Module:
    network = getattr(predictor.network, "module", predictor.network)  # of distributed training
    network = getattr(network, "_orig_mod", network)  # of torch.compile
    if weights is not None:
        network.load_state_dict(weights)
    return network.to(predictor.device).eval()


@contextlib.contextmanager
def _threads_of_nnunet():
    """No more threads than nnU-Net's own prediction takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(default_num_processes, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
