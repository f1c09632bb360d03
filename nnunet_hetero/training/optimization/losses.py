"""The masked reconstruction loss (Dorent et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def foreground(images: Tensor, present: Tensor) -> Tensor:
    """Where a sample's images are not all zero: the brain, if skulls are stripped. Completed images are zero elsewhere.

    Args:
        images: Preprocessed images, ``(B, M, *spatial)``.
        present: What each sample has, ``(B, M)`` bool.

    Returns:
        ``(B, 1, *spatial)`` bool.
    """
    mask = present.view(*present.shape, *[1] * (images.ndim - 2))
    return ((images != 0) & mask).any(dim=1, keepdim=True)


def masked_l2(completion: Tensor, images: Tensor, present: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean squared error over the modalities that each sample has, whether they were encoded or not.

    Args:
        completion: Completed images, ``(B, M, *spatial)``.
        images: Preprocessed images, ``(B, M, *spatial)``; what absent channels contain has no influence.
        present: What each sample has, ``(B, M)`` bool.
        where: The voxels of each sample that count, ``(B, 1, *spatial)`` bool; default all.

    Returns:
        A float32 scalar, in squared units of the preprocessed intensities; 0 if no sample has anything.
    """
    errors = (completion.float() - images.float()).square()
    if where is None:
        per_channel = errors.flatten(2).mean(dim=2)
    else:
        per_channel = (errors * where).flatten(2).sum(dim=2) / where.flatten(2).sum(dim=2).clamp(min=1)
    return torch.where(present, per_channel, 0).sum() / present.sum().clamp(min=1)
