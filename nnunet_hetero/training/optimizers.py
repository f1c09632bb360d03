"""The optimisers of the setting ``optimizer`` that nnU-Net does not bring along."""

from __future__ import annotations

import torch
from torch import nn

from nnunet_hetero.training.muon import Muon


def adaptive_optimizer(name: str, network: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """An optimiser of all weights of a network.

    Args:
        name: ``Muon``, or one of torch's that has a fused form, ``Adam`` or ``AdamW``.
        network: What is trained.
        lr: Learning rate.
        weight_decay: As the optimiser understands it.
    """
    if name == "Muon":
        optimizer = Muon(network, lr, weight_decay)
    else:
        kind = getattr(torch.optim, name)
        optimizer = kind(network.parameters(), lr, weight_decay=weight_decay, fused=True)
    optimizer.register_load_state_dict_pre_hook(_stay_fused)
    return optimizer


def _stay_fused(optimizer: torch.optim.Optimizer, state: dict) -> dict:
    """An optimiser's state from a checkpoint, fused there or not: half fused it fails under mixed precision."""
    return {**state, "param_groups": [{**group, "fused": True} for group in state["param_groups"]]}
