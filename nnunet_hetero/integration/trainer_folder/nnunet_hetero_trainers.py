"""What nnU-Net finds when it searches `nnUNet_extTrainer`: all trainers that are registered, ours and other packages'.

nnU-Net removes this module from sys.modules after each look-up, so the classes must live outside this folder: only
then is a trainer the same class at each look-up and can be pickled. The folder holds nothing else, because nnU-Net
imports every module that it finds here.
"""

from __future__ import annotations

from typing import Any

from nnunet_hetero.training.trainers import TRAINERS

__all__ = TRAINERS.names()


def __getattr__(name: str) -> Any:
    """The trainer of a name, imported when nnU-Net asks for it."""
    if name in __all__:
        return TRAINERS.get(name)
    raise AttributeError(f"There is no trainer {name}.")
