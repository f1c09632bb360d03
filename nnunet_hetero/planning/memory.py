"""Memory of a training step, estimated from the network alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

FLOAT32_BYTES, AUTOCAST_BYTES = 7.8, 4.7
"""Bytes per element of the feature maps that a training step keeps, in float32 and with autocast in 16 bits: a
convolution's output, what norm and nonlinearity make of it, what comes and goes, and the fusion's own, which is float32
in either case. Counted on fake tensors (benchmarks/counted.py) for the full-size plan and 1 to 8 modalities: 8.0 to 8.2
and 4.3 to 4.5 for nnU-Net's default plan, 7.4 to 8.0 and 4.9 to 5.1 for its ResEnc plan."""

PARAMETER_BYTES = 16
"""Weight, gradient, and the two moments of Adam and AdamW; Muon and SGD keep one."""


def training_bytes(network: nn.Module, patch_size: Sequence[int], batch_size: int, autocast: bool = False) -> int:
    """Peak of the tensors of a training step in which every sample has all modalities, without data loading.

    On a GPU the workspace of convolutions, the allocator's fragments and CUDA itself come on top.

    Args:
        network: With nnU-Net's ``compute_conv_feature_map_size``; may be on the device ``meta``.
        patch_size: Voxels along every axis.
        batch_size: B; on a CPU a batch of 1 takes as much as one of 2, see `FeatureEncoder`.
        autocast: Whether feature maps have 16 bits, as nnU-Net trains on a GPU.
    """
    elements = int(network.compute_conv_feature_map_size(patch_size)) * batch_size
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return int((AUTOCAST_BYTES if autocast else FLOAT32_BYTES) * elements + PARAMETER_BYTES * parameters)
