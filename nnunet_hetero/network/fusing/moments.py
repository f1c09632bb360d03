"""Mean and variance of the feature maps over the present modalities (Havaei et al., "HeMIS: Hetero-Modal Image
Segmentation", MICCAI 2016, section 2). One modality has the variance 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def moments(
    parts: Sequence[tuple[Tensor, Tensor]],
    shape: Sequence[int],
    device: torch.device | str,
    correction: int = 0,
) -> Tensor:
    """Mean and variance over each sample's own present modalities.

    Args:
        parts: Feature map of one modality, ``(n, C, *spatial)``, and the samples of the batch that its rows belong to,
            ``(n,)`` int64; one for each modality that is present in at least one sample; may be empty.
        shape: Shape of one moment, ``(B, C, *spatial)``.
        device: Where the result lives.
        correction: The sum of squares is divided by the number of modalities less this: 0 for the variance of the
            present modalities themselves, 1 for the unbiased estimate.

    Returns:
        ``(B, 2 * C, *spatial)``, means before variances, float32 (float64 if all parts are); the variance of a single
        modality is 0, and so are both moments of a sample without any.
    """
    dtype = torch.float32
    if parts and all(features.dtype == torch.float64 for features, _ in parts):
        dtype = torch.float64
    count = torch.zeros(shape[0], device=device, dtype=dtype)
    for _, samples in parts:
        count = count.index_add(0, samples, torch.ones(len(samples), device=device, dtype=dtype))
    count = count.view(-1, *[1] * (len(shape) - 1))
    with torch.autocast(torch.device(device).type, enabled=False):
        mean = torch.zeros(tuple(shape), device=device, dtype=dtype)
        for features, samples in parts:
            mean = mean.index_add(0, samples, features.to(dtype))
        mean = mean / count.clamp(min=1)
        # In two passes: the difference of two large sums of squares would lose the variance of close values.
        squares = torch.zeros_like(mean)
        for features, samples in parts:
            squares = squares.index_add(0, samples, (features.to(dtype) - mean[samples]).square())
        return torch.cat([mean, squares / (count - correction).clamp(min=1)], dim=1)
