"""The network of one fold, ready to go over a case as nnU-Net's settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.helpers import empty_cache
from torch import Tensor

from nnunet_hetero.inference.engine.latent_draws import generator_of, mirrored_views
from nnunet_hetero.inference.engine.sliding_window import SlidingWindow

if TYPE_CHECKING:
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

Result = TypeVar("Result")


def padded_to_tile(predictor: HeteroModalPredictor, data: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """A case at least as large as a tile, and where in it the case is.

    Args:
        predictor: The model.
        data: ``(M, *spatial)``.

    Returns:
        The padded case, and slices of ``(channels, *spatial)``.
    """
    patch = predictor.configuration_manager.patch_size
    padded, crop = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
    return padded, (slice(None), *crop[1:])


def window_of(
    predictor: HeteroModalPredictor,
    weights: dict | None,
    key: tuple[int | str, ...],
    spatial: tuple[int, ...],
    results_device: torch.device,
) -> SlidingWindow:
    """A fold's sliding window over a case.

    Args:
        predictor: The model, and nnU-Net's settings.
        weights: Those of the fold; None takes the network as it is.
        key: With view, tile and draw it settles the random numbers.
        spatial: Shape of the padded case.
        results_device: Where the maps are.
    """
    patch = tuple(predictor.configuration_manager.patch_size)
    tile = torch.ones(patch, device=results_device)
    if predictor.use_gaussian:
        tile = compute_gaussian(patch, 1 / 8, 10, torch.float32, results_device)
    return SlidingWindow(
        _ready_network(predictor, weights),
        predictor.label_manager.apply_inference_nonlin,
        predictor._internal_get_sliding_window_slicers(spatial),
        tile,
        mirrored_views(predictor.allowed_mirroring_axes if predictor.use_mirroring else None),
        predictor.device,
        results_device,
        lambda view, tile, draw: generator_of(predictor.device, *key, view, tile, draw),
        predictor.allow_tqdm,
    )


def _ready_network(predictor: HeteroModalPredictor, weights: dict | None) -> torch.nn.Module:
    network = getattr(predictor.network, "module", predictor.network)  # of distributed training
    network = getattr(network, "_orig_mod", network)  # of torch.compile
    if weights is not None:
        network.load_state_dict(weights)
    return network.to(predictor.device).eval()


def with_results_on_device(predictor: HeteroModalPredictor, predict: Callable[[torch.device], Result]) -> Result:
    """Predict with the maps on the device, or in the CPU's memory if they do not fit there.

    Args:
        predictor: The model.
        predict: Called with the device for the maps.
    """
    # nnU-Net's rule: autocast on CUDA only.
    with torch.autocast("cuda") if predictor.device.type == "cuda" else contextlib.nullcontext():
        if predictor.perform_everything_on_device and predictor.device.type == "cuda":
            try:
                return predict(predictor.device)
            except RuntimeError as error:
                print(f"Prediction on the device failed ({error}). Trying again with the results in the CPU's memory.")
                empty_cache(predictor.device)
        return predict(torch.device("cpu"))


@contextlib.contextmanager
def threads_of_nnunet() -> Iterator[None]:
    """No more threads than nnU-Net's own prediction takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(default_num_processes, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
