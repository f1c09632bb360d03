"""Memory of a training step, estimated from the network alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

FLOAT32_BYTES = 9.0
"""Bytes per element of the feature maps that a training step keeps, in float32: a convolution's output and what norm
and nonlinearity make of it, and a ninth for what comes and goes. Measured on a CPU: 8.0 to 9.3 for our network at batch
2, 10.8 without image decoder, 8.7 to 10.3 for nnU-Net's."""

PARAMETER_BYTES = 16
"""Weight, gradient, and the two moments of Adam and AdamW; Muon and SGD keep one."""


def training_bytes(network: nn.Module, patch_size: Sequence[int], batch_size: int) -> int:
    """Peak of a training step in float32 in which every sample has all modalities, without data loading.

    Args:
        network: With nnU-Net's ``compute_conv_feature_map_size``; may be on the device ``meta``.
        patch_size: Voxels along every axis.
        batch_size: B; on a CPU a batch of 1 takes as much as one of 2, see `FeatureEncoder`.
    """
    elements = int(network.compute_conv_feature_map_size(patch_size)) * batch_size
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return int(FLOAT32_BYTES * elements + PARAMETER_BYTES * parameters)
