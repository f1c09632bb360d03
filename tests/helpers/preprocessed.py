"""One preprocessed case of random numbers, as the predictor takes it."""

from __future__ import annotations

import torch

SHAPE = (20, 16, 18)
PROPERTIES = {"spacing": [2.0, 1.0, 1.0], "shape_after_cropping_and_before_resampling": SHAPE}


def images(seed: int = 0, absent=(1,)) -> torch.Tensor:
    """Images ``(4, *SHAPE)``, zero where absent."""
    data = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(seed))
    data[list(absent)] = 0
    return data
