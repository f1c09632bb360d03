"""How much of a case is predicted at once, by device and memory; after an out-of-memory with less."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from nnunetv2.utilities.helpers import empty_cache

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.sliding_window import AT_ONCE_ON_CPU

Result = TypeVar("Result")

PREDICTION_BYTES = 3.0
"""Bytes per element of the feature maps of a training step that a prediction of the same tile holds at once, with
autocast: counted on fake tensors for the full-size plan it is 2.9."""

MOST_AT_ONCE = 4
"""Tiles per pass on a GPU; more bring nothing where each fills it."""


@dataclass(frozen=True)
class Effort:
    """How much at once.

    Args:
        at_once: Tiles, or draws of the latents, per pass of the network.
        results_device: Where maps of the whole case are added up.
    """

    at_once: int
    results_device: torch.device


def efforts(model: LoadedModel) -> Iterator[Effort]:
    """What to try, from the most to the least: as many tiles as memory has room for, half of them, and so on to one,
    and at last the maps in the CPU's memory."""
    host = torch.device("cpu")
    if model.device.type != "cuda":
        yield Effort(AT_ONCE_ON_CPU, host)
        return
    at_once = tiles_at_once(model, torch.cuda.mem_get_info(model.device)[0])
    while model.results_on_device and at_once:
        yield Effort(at_once, model.device)
        at_once //= 2
    yield Effort(1, host)


def tiles_at_once(model: LoadedModel, free_bytes: int) -> int:
    """Tiles per pass that half of the free memory has room for, the other half being left to the maps.

    Args:
        model: The model.
        free_bytes: Of the device.
    """
    try:
        elements = model.network.compute_conv_feature_map_size(model.patch_size)
    except (AttributeError, NotImplementedError):
        return 1  # a network that does not say what it needs
    return int(max(1, min(MOST_AT_ONCE, free_bytes / 2 // (PREDICTION_BYTES * elements))))


def with_memory_at_hand(model: LoadedModel, predict: Callable[[Effort], Result]) -> Result:
    """Predict with as much at once as fits.

    Args:
        model: The model.
        predict: Called anew with less, until it fits.

    Raises:
        SettingsError: If not even a single tile fits.
    """
    shortage = ""
    # nnU-Net's rule: autocast on CUDA only.
    with torch.autocast("cuda") if model.device.type == "cuda" else contextlib.nullcontext():
        for effort in efforts(model):
            if shortage:
                print(
                    f"Out of memory ({shortage}). Again with {effort.at_once} tile(s) at once, results on "
                    f"{effort.results_device}."
                )
                empty_cache(model.device)
            try:
                return predict(effort)
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
                # The text alone: the error holds on to all that was computed.
                shortage = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise SettingsError(
        f"A single tile of {'×'.join(map(str, model.patch_size))} voxels does not fit into the memory of "
        f"{model.device} beside what else is there ({shortage}). Close what else uses it, predict with -device cpu, or "
        "train a model with a smaller patch (nnunet_hetero plan -gpu_memory_target)."
    )


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU, of its libraries or of the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return any(sign in text for sign in ("out of memory", "alloc_failed", "can't allocate memory", "not enough memory"))
