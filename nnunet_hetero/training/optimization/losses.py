"""The masked reconstruction loss (Dorent et al., 2019)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnunet_hetero.network.fusing.fusible import Fusible


def foreground(images: Tensor, present: Tensor) -> Tensor:
    """Where a sample's images are not all zero: the brain, if skulls are stripped. Completed images are zero elsewhere.

    Args:
        images: Preprocessed images, ``(B, M, *spatial)``.
        present: What each sample has, ``(B, M)`` bool.

    Returns:
        ``(B, 1, *spatial)`` bool.
    """
    mask = present.view(*present.shape, *[1] * (images.ndim - 2))
    return _foreground(images, mask)


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
    if where is None:
        where = torch.ones((), dtype=torch.bool, device=images.device).expand(len(images), 1, *images.shape[2:])
    squares, voxels = _SumOfSquares.apply(completion, images, where)
    per_channel = squares / voxels.clamp(min=1)
    return torch.where(present, per_channel, 0).sum() / present.sum().clamp(min=1)


class _SumOfSquares(torch.autograd.Function):
    """Of each image's errors, ``(B, M)`` float32, and how many voxels count, ``(B, 1)``; keeps its arguments.

    Sample by sample, so that what is float32 on the way is of one of them.
    """

    @staticmethod
    def forward(context: Any, completion: Tensor, images: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        context.save_for_backward(completion, images, where)
        of_samples = map(_sum_of_squares, completion, images, where)
        squares, voxels = map(torch.stack, zip(*of_samples, strict=True))
        context.mark_non_differentiable(voxels)
        return squares, voxels

    @staticmethod
    def backward(context: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        completion, images, where = context.saved_tensors
        found = torch.empty_like(completion)
        for of_sample in zip(found, completion, images, where, gradient, strict=True):
            _of_sum_of_squares(*of_sample)
        return found, None, None


@Fusible
def _foreground(images: Tensor, mask: Tensor) -> Tensor:
    return ((images != 0) & mask).any(dim=1, keepdim=True)


@Fusible
def _sum_of_squares(completion: Tensor, images: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    squares = (completion - images.float()).square_()
    return squares.mul_(where).flatten(1).sum(dim=1), where.flatten(1).sum(dim=1)


@Fusible
def _of_sum_of_squares(into: Tensor, completion: Tensor, images: Tensor, where: Tensor, gradient: Tensor) -> None:
    scale = (2 * gradient).view(-1, *[1] * (images.ndim - 1))
    into.copy_((completion - images.float()).mul_(where).mul_(scale))
