"""nnU-Net's training alone.

``python -m head_to_head.training DATASET CONFIGURATION FOLD TRAINER PLANS DEVICE PRECISION``

As ``nnUNetv2_train --c``, which begins anew where there is no checkpoint, but without its validation of whole cases at
the end: that takes mirrored views of every case, and the evaluation of all subsets follows anyway. On a CPU torch keeps
its own number of threads (``OMP_NUM_THREADS``).
"""

from __future__ import annotations

import sys

import torch
from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

from head_to_head.precision import FLOAT32, train_in


def train(
    dataset: str,
    configuration: str,
    fold: str,
    trainer_name: str,
    plans: str,
    device: str,
    precision: str = FLOAT32,
) -> None:
    """Train one fold to the end, from its last checkpoint if there is one."""
    if device == "cuda":
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    trainer = get_trainer_from_args(
        dataset, configuration, int(fold), trainer_name, plans, True, device=torch.device(device)
    )
    train_in(precision, trainer)
    maybe_load_checkpoint(trainer, True, False)
    trainer.run_training()


if __name__ == "__main__":
    train(*sys.argv[1:])
