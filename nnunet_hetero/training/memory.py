"""Memory of a training step, estimated from the network alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.training.optimization.optimizers import kept_elements

FLOAT32_BYTES, AUTOCAST_BYTES = 8.4, 4.8
"""Bytes per element of the feature maps that a training step keeps, in float32 and with autocast in 16 bits: a
convolution's output, what norm and nonlinearity make of it, what comes and goes, and the fusion's own, which is float32
in either case. Counted on fake tensors (benchmarks/counted.py) for the full-size plan and 1 to 8 modalities: 8.2 to 8.4
and 4.4 to 4.7 for nnU-Net's default plan, 7.6 to 8.2 and 5.0 to 5.3 for its ResEnc plan. On a CPU, where
convolutions take memory themselves, up to a sixth more is measured."""

ROOM = 0.85
"""Of the free memory of a GPU, the part that tensors may take; the rest is for what comes on top of them."""

WEIGHT_BYTES = 4
"""Of a weight, of its gradient and of each moment that the optimiser keeps of it: float32, with autocast too."""


def training_bytes(
    network: HeteroNetwork, patch_size: Sequence[int], batch_size: int, optimizer: str, autocast: bool = False
) -> int:
    """Peak of the tensors of a training step in which every sample has all modalities, without data loading.

    On a GPU the workspace of convolutions, the allocator's fragments and CUDA itself come on top.

    Args:
        network: With nnU-Net's ``compute_conv_feature_map_size``; may be on the device ``meta``.
        patch_size: Voxels along every axis.
        batch_size: B; on a CPU a batch of 1 takes as much as one of 2, see `FeatureEncoder`.
        optimizer: By the setting's name, see `kept_elements`.
        autocast: Whether feature maps have 16 bits, as nnU-Net trains on a GPU.
    """
    elements = int(network.compute_conv_feature_map_size(patch_size)) * batch_size
    with_gradients = 2 * sum(weight.numel() for weight in network.parameters())
    of_weights = WEIGHT_BYTES * (with_gradients + kept_elements(network, optimizer))
    return int((AUTOCAST_BYTES if autocast else FLOAT32_BYTES) * elements + of_weights)


def describe_peak(
    network: HeteroNetwork, patch_size: Sequence[int], batch_size: int, optimizer: str, device: torch.device
) -> str:
    """What a training will take, for its log before the first step.

    Args:
        network: What is trained.
        patch_size: Voxels along every axis.
        batch_size: Of this process.
        optimizer: By the setting's name.
        device: Where it is trained; on a GPU with autocast.
    """
    on_gpu = device.type == "cuda"
    try:
        peak = training_bytes(network, patch_size, batch_size, optimizer, autocast=on_gpu) / 2**30
    except SettingsError as unknown:
        return f"Memory of a step: not known. {unknown}"
    text = f"Tensors of a step with all modalities: about {peak:.1f} GiB"
    if not on_gpu:
        return f"{text}."
    free, total = (size / 2**30 for size in torch.cuda.mem_get_info(device))
    text += f"; {free:.1f} of {total:.1f} GiB of {device} are free."
    if peak > ROOM * free:
        text += (
            " WARNING: with what convolutions take besides, that may not be enough. It shows at the first batch that "
            "has everything. Plan for less: nnunet_hetero plan -gpu_memory_target."
        )
    return text
