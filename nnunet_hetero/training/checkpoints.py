"""nnU-Net's checkpoints with our state in them: whole or not there, and only continued by who can go on from them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replacing
from nnunet_hetero.io.checkpoints import load_checkpoint, trusted_by_environment


def save_with(state: dict[str, Any], save: Callable[[io.BytesIO], None], filename: str) -> None:
    """Write a checkpoint of nnU-Net's with our state under ``hetero_modal``; the file is whole or as it was.

    Args:
        state: Ours.
        save: nnU-Net's own saving. It builds the dictionary and writes it in one go; a buffer lets us add to it.
        filename: The checkpoint.
    """
    buffer = io.BytesIO()
    save(buffer)
    buffer.seek(0)
    checkpoint = torch.load(buffer, map_location="cpu", weights_only=False)
    checkpoint[KEY] = state
    # Of whole epochs: what nnU-Net has logged of one that is not over is logged again when it goes on.
    whole = checkpoint["current_epoch"]
    checkpoint["logging"] = {key: values[:whole] for key, values in checkpoint["logging"].items()}
    with replacing(filename) as file:
        torch.save(checkpoint, file)


def best_score_of_epoch(filename: str | os.PathLike, epoch: int, score: float | None) -> float | None:
    """The best moving average of the pseudo Dice when a training had done so many epochs.

    nnU-Net writes ``checkpoint_latest.pth`` before it looks whether the epoch was the best one, so a training that goes
    on from there would take a worse one for better.

    Args:
        filename: The checkpoint that was loaded; ``checkpoint_best.pth`` is looked for beside it.
        epoch: How many were done.
        score: What that checkpoint says.
    """
    best = Path(filename).with_name("checkpoint_best.pth")
    if not best.is_file():
        return score
    checkpoint = load_checkpoint(best, trusted=trusted_by_environment(), mmap=True)
    return checkpoint["_best_ema"] if checkpoint.get("current_epoch") == epoch else score


def require_continuable(
    checkpoint: Mapping[str, Any], filename: dict | str, trainer: str, configuration: str, optimizer: str
) -> None:
    """Refuse a checkpoint that a training cannot go on from.

    Args:
        checkpoint: What was loaded.
        filename: Where from, for the message.
        trainer: That of the training.
        configuration: nnU-Net's, such as ``3d_fullres``.
        optimizer: The setting of the training.

    Raises:
        SettingsError: If another kind of trainer, or another optimiser, wrote it.
    """
    if KEY not in checkpoint:
        raise SettingsError(
            f"{filename} was written by the trainer '{checkpoint.get('trainer_name')}', expected one of {trainer}. "
            "Start in another output folder, or pass it as -pretrained_weights."
        )
    before = checkpoint["init_args"]["plans"]["configurations"][configuration][KEY]["optimizer"]
    if before != optimizer:
        raise SettingsError(
            f"{filename} was trained with the optimiser {before}, and the settings now say {optimizer}, which cannot "
            f"go on from there. Set {KEY}.optimizer to {before} in the plans (and initial_lr to what it was), or start "
            "in another output folder."
        )
