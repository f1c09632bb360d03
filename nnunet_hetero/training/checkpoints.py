"""nnU-Net's checkpoints with our state in them: whole or not there, and only continued by who can go on from them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import torch

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replacing


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
    with replacing(filename) as file:
        torch.save(checkpoint, file)


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
