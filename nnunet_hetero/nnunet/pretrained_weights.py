"""Pretrained weights (``-pretrained_weights``) of our networks loaded by us.

nnU-Net's training command loads them by a function of its own, whatever the file brings along. There is no hook, so we
stand in for that function; for all other networks it is called as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from nnunetv2.run import load_pretrained_weights as nnunet
from nnunetv2.run import run_training
from torch import nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

Load = Callable[[Any, str], None]

_MARK = "replaced_by_nnunet_hetero"


def load_through(kind: type[nn.Module], load: Load) -> None:
    """Let nnU-Net load pretrained weights of one kind of networks through us; a second call changes nothing.

    Args:
        kind: Class of the networks, without what training wraps them in.
        load: Loads the weights of a file into such a network.
    """
    original = nnunet.load_pretrained_weights
    if hasattr(original, _MARK):
        return

    @wraps(original)
    def load_pretrained_weights(network: nn.Module, fname: str, verbose: bool = False) -> None:
        inner = network.module if isinstance(network, DistributedDataParallel) else network
        inner = inner._orig_mod if isinstance(inner, OptimizedModule) else inner
        if isinstance(inner, kind):
            load(inner, fname)
        else:
            original(network, fname, verbose)

    setattr(load_pretrained_weights, _MARK, True)
    # The command has its own name for it.
    nnunet.load_pretrained_weights = run_training.load_pretrained_weights = load_pretrained_weights
