"""The network of one fold, ready to go over a case as nnU-Net's settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import Tensor

from nnunet_hetero.inference.engine.effort import Effort
from nnunet_hetero.inference.engine.latent_draws import generator_of, mirrored_views
from nnunet_hetero.inference.engine.model import LoadedModel, Weights
from nnunet_hetero.inference.engine.sliding_window import Slicer, SlidingWindow


def padded_to_tile(model: LoadedModel, data: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """A case at least as large as a tile, and where in it the case is.

    Args:
        model: The model.
        data: ``(M, *spatial)``.

    Returns:
        The padded case, and slices of ``(channels, *spatial)``.
    """
    padded, crop = pad_nd_image(data, model.patch_size, "constant", {"value": 0}, True, None)
    return padded, (slice(None), *crop[1:])


def slicers_of(model: LoadedModel, spatial: Sequence[int]) -> list[Slicer]:
    """nnU-Net's tiles of a case, each an index into ``(channels, *spatial)``; a 2D model goes slice by slice.

    Args:
        model: The model.
        spatial: Shape of the padded case.
    """
    patch = model.patch_size
    flat = len(patch) < len(spatial)
    starts = compute_steps_for_sliding_window(tuple(spatial[1:] if flat else spatial), patch, model.tiles.step)
    along = [_spans(places, size) for places, size in zip(starts, patch, strict=True)]
    planes = [(plane,) for plane in range(spatial[0])] if flat else [()]
    slicers: list[Slicer] = [(slice(None), *plane, *tile) for plane, tile in product(planes, product(*along))]
    if model.tiles.told:
        print(f"{len(slicers)} tiles of {patch} with a step of {model.tiles.step} over a case of {tuple(spatial)}.")
    return slicers


def _spans(starts: Sequence[int], size: int) -> list[slice]:
    return [slice(start, start + size) for start in starts]


def window_of(
    model: LoadedModel,
    weights: Weights,
    key: tuple[int | str, ...],
    spatial: tuple[int, ...],
    effort: Effort,
) -> SlidingWindow:
    """A fold's sliding window over a case.

    Args:
        model: The model.
        weights: Those of the fold.
        key: With view, tile and draw it settles the random numbers.
        spatial: Shape of the padded case.
        effort: How much at once, and where the maps are.
    """
    results_device = effort.results_device
    tile = torch.ones(model.patch_size, device=results_device)
    if model.tiles.gaussian:
        tile = compute_gaussian(model.patch_size, 1 / 8, 10, torch.float32, results_device)
    model.network.load_state_dict(weights)
    return SlidingWindow(
        model.network.to(model.device).eval(),
        model.label_manager.apply_inference_nonlin,
        slicers_of(model, spatial),
        tile,
        mirrored_views(model.tiles.mirroring_axes),
        model.device,
        results_device,
        lambda view, tile, draw: generator_of(model.device, *key, view, tile, draw),
        effort.at_once,
        model.progress,
    )


@contextlib.contextmanager
def threads_of_nnunet() -> Iterator[None]:
    """No more threads than nnU-Net's own prediction takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(default_num_processes, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
