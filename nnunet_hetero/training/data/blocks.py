"""Blocks of an image that are hidden from the network, which is to reconstruct them.

The masking of M3AE (Liu et al., AAAI 2023): whole modalities, and of the others most blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 16
"""Edge of a block in voxels."""


def visible_blocks(images: Tensor, drawn: Tensor, hidden: float | Tensor) -> Tensor:
    """What of each image is seen: of a drawn modality some blocks, drawn at random; of the others nothing.

    Args:
        images: ``(B, M, *spatial)``, for their size and device.
        drawn: ``(B, M)`` bool on that device.
        hidden: Share of the blocks that are hidden, for all or ``(B, M)``.

    Returns:
        ``(B, M, *spatial)`` bool.
    """
    spatial = images.shape[2:]
    # At least four blocks along an axis, so that small patches have some to see.
    edges = [max(1, min(BLOCK, size // 4)) for size in spatial]
    counts = [-(-size // edge) for size, edge in zip(spatial, edges, strict=True)]
    limit = hidden.view(*drawn.shape, *[1] * len(spatial)) if isinstance(hidden, Tensor) else hidden
    visible = torch.rand(*drawn.shape, *counts, device=images.device) >= limit
    for axis, edge in enumerate(edges, start=2):
        visible = visible.repeat_interleave(edge, dim=axis)
    inside = (slice(None), slice(None), *map(slice, spatial))
    return visible[inside] & drawn.view(*drawn.shape, *[1] * len(spatial))
