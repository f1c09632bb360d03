"""One step of an optimiser, as nnU-Net takes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

GRADIENT_NORM = 12
"""nnU-Net's clipping."""


def take_step(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: GradScaler | None) -> None:
    """Step along the gradient of a loss, clipped.

    Args:
        loss: A scalar.
        network: What is trained.
        optimizer: Its gradients must be zero or None.
        scaler: Of mixed precision; it leaves a step out whose gradients overflowed.
    """
    (loss if scaler is None else scaler.scale(loss)).backward()
    if scaler is not None:
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
