"""The two terms beside nnU-Net's segmentation loss: Gaussian KL and masked reconstruction (Dorent et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnunet_hetero.network.fusion import Gaussian


def kl_to_standard_normal(posterior: Sequence[Gaussian]) -> Tensor:
    """Kullback-Leibler divergence of the fused posterior from the prior N(0, I).

    KL = ½ (μ² + σ² - log σ² - 1), the mean over latent elements, then the mean over levels.

    Args:
        posterior: The Gaussian of every level, each ``(B, C, *spatial)``.

    Returns:
        A float32 scalar, in nats per latent element.
    """
    levels = []
    for mean, log_variance in posterior:
        mean, log_variance = mean.float(), log_variance.float()
        levels.append(0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean())
    return torch.stack(levels).mean()


def masked_l2(completion: Tensor, images: Tensor, present: Tensor) -> Tensor:
    """Mean squared error over the modalities that each sample has, whether they were encoded or not.

    Args:
        completion: Completed images, ``(B, M, *spatial)``.
        images: Preprocessed images, ``(B, M, *spatial)``; what absent channels contain has no influence.
        present: What each sample has, ``(B, M)`` bool.

    Returns:
        A float32 scalar, in squared units of the preprocessed intensities; 0 if no sample has anything.
    """
    per_channel = (completion.float() - images.float()).square().flatten(2).mean(dim=2)
    return torch.where(present, per_channel, 0).sum() / present.sum().clamp(min=1)
