"""The optimisers of the setting ``optimizer``: ours, and those of other packages.

Another package offers one by an entry point of the group ``nnunet_hetero.optimizers``, a script by
``OPTIMIZERS.register``: a function of a network, a learning rate and a weight decay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from nnunet_hetero.config import OPTIMIZERS_GROUP, SGD
from nnunet_hetero.registry import Registry
from nnunet_hetero.training.optimization.muon import Muon, hidden_weights

MakeOptimizer = Callable[[nn.Module, float, float], torch.optim.Optimizer]
"""From what is trained, the learning rate and the weight decay (as the optimiser understands it) to the optimiser."""


def fused(kind: type[torch.optim.Optimizer], network: nn.Module, lr: float, weight_decay: float) -> Any:
    """One of torch's optimisers that have a fused form, of all weights of a network."""
    optimizer = kind(network.parameters(), lr=lr, weight_decay=weight_decay, fused=True)  # type: ignore[call-arg]  # of those two
    return staying_fused(optimizer)


def muon(network: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """See `nnunet_hetero.training.optimization.muon`."""
    return staying_fused(Muon(network, lr, weight_decay))


adam, adam_w = partial(fused, torch.optim.Adam), partial(fused, torch.optim.AdamW)

OPTIMIZERS: Registry[MakeOptimizer] = Registry(
    OPTIMIZERS_GROUP,
    "optimiser",
    {"Adam": f"{__name__}:adam", "AdamW": f"{__name__}:adam_w", "Muon": f"{__name__}:muon"},
    callable,
    "a function of network, learning rate and weight decay",
)
"""All but nnU-Net's own, by the name that the setting ``optimizer`` has for each."""


def kept_elements(network: nn.Module, optimizer: str) -> int:
    """Elements of the moments that an optimiser keeps of a network's weights.

    SGD keeps one of each weight, Adam and AdamW keep two; Muon keeps one of the weights that it takes itself and hands
    the others to AdamW. An optimiser of another package is taken for one like Adam.

    Args:
        network: What is trained; may be on the device ``meta``.
        optimizer: By the setting's name.
    """
    every = sum(weight.numel() for weight in network.parameters())
    if optimizer == SGD:
        return every
    of_one = sum(weight.numel() for weight in hidden_weights(network)) if optimizer == "Muon" else 0
    return 2 * every - of_one


def staying_fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Let an optimiser be fused whatever a checkpoint says: half fused it fails under mixed precision."""
    optimizer.register_load_state_dict_pre_hook(_fuse)
    return optimizer


def _fuse(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "param_groups": [{**group, "fused": True} for group in state["param_groups"]]}
