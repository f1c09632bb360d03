"""Checks of a trained model's folder, before and after nnU-Net loads it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch._dynamo import OptimizedModule

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities


def checked_folds(
    folder: str | os.PathLike, folds: Sequence[int | str] | int | str | None, checkpoint_name: str
) -> list[int | str]:
    """The folds as a list, after a look whether all files of the model are there.

    Args:
        folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: One or several; None takes all that have the checkpoint.
        checkpoint_name: File name of the checkpoint.

    Raises:
        SettingsError: If the folder or one of its files does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(
            f"There is no trained model at {folder}. Its path is made of the environment variable nnUNet_results, the "
            "dataset (-d), the trainer (-tr), the plans (-p) and the configuration (-c). Check each, or train the "
            "model first."
        )
    for name in ("dataset.json", "plans.json"):
        if not (folder / name).is_file():
            raise SettingsError(f"The model folder {folder} has no {name}. Copy it with the rest of the model.")
    if folds is None:
        folds = nnUNetPredictor.auto_detect_available_folds(str(folder), checkpoint_name)
    elif isinstance(folds, (int, str)):
        folds = [folds]
    absent = [fold for fold in folds if not (folder / f"fold_{fold}" / checkpoint_name).is_file()]
    if absent or not folds:
        there = sorted(str(file.relative_to(folder)) for file in folder.glob("fold_*/*.pth"))
        raise SettingsError(
            f"The model folder {folder} has no {checkpoint_name} for fold(s) {', '.join(map(str, absent)) or 'any'}. "
            f"It has: {', '.join(there) or 'no checkpoint at all'}. Choose with -f and -chk."
        )
    return list(folds)


def require_hetero_modal(network: torch.nn.Module, trainer_name: str, folder: str | os.PathLike) -> None:
    """Refuse a network that cannot be told which modalities are available.

    Raises:
        SettingsError: If it cannot.
    """
    network = network._orig_mod if isinstance(network, OptimizedModule) else network
    if "available" not in inspect.signature(network.forward).parameters:
        raise SettingsError(
            f"The checkpoint in {folder} is of the trainer '{trainer_name}', which cannot handle missing modalities. "
            "Choose a model of a hetero-modal trainer with -tr, e.g. -tr HeteroModalVAETrainer."
        )


def weights_error(folder: str | os.PathLike, fold: int | str, checkpoint_name: str, error: RuntimeError) -> Exception:
    """The error to raise when nnU-Net could not load a model: ours if the user can mend it, else nnU-Net's."""
    if "nnunet trainer" in str(error):
        return SettingsError(f"nnU-Net does not find the model's trainer: {error} Run: nnunet_hetero doctor")
    if "loading state_dict" not in str(error):
        return error
    file = Path(folder) / f"fold_{fold}" / checkpoint_name
    checkpoint = torch.load(file, map_location="cpu", weights_only=False)
    trained = Modalities.from_dataset_json(checkpoint["init_args"]["dataset_json"])
    return SettingsError(
        f"The weights in {file} do not fit the network that plans.json and dataset.json in {folder} describe. They "
        f"were trained by {checkpoint['trainer_name']} on {len(trained)} modalities ({', '.join(trained.names)}). Put "
        "back the plans.json and dataset.json that the training wrote."
    )
