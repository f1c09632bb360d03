"""A trained model as one zip file that ``install-model`` takes: the folds that are trained, and nothing else."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.as_trained import require_whole_model
from nnunet_hetero.inference.model.model_card import CARD_NAME, evaluation_tables, model_card
from nnunet_hetero.io.atomic_files import replacing
from nnunet_hetero.io.checkpoints import load_checkpoint
from nnunet_hetero.io.digests import sha256_of
from nnunet_hetero.io.places import require_replaceable

OF_MODEL = ("dataset.json", "plans.json", "dataset_fingerprint.json", "calibration.json")
OF_FOLD = ("progress.png", "intensity.json")
CALIBRATION_FOLDER = "calibration"
OF_CALIBRATION = ("*.csv", "figures/*.png")
"""What was measured of each case stays with the data; the page can be made again."""
EVALUATION_FILES = ("table.md", "summary.json", "metrics.csv", "completion.csv", "settings.json")


def export_model(
    folder: str | os.PathLike,
    folds: Sequence[int | str],
    checkpoint_name: str,
    archive: str | os.PathLike,
    card: bool = False,
    licence: str | None = None,
) -> str:
    """Write a model as a zip file, which appears whole or not at all.

    Args:
        folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``, with everything of these folds.
        folds: The folds to export.
        checkpoint_name: File name of the checkpoint.
        archive: The zip file; an earlier one is replaced.
        card: Whether to add a page on the model, ``README.md``.
        licence: For the page.

    Returns:
        SHA-256 of the file.

    Raises:
        SettingsError: If the folder has not the name of a model's, or a file of it is broken or not as in training, or
            the zip file is there and is none of a model.
    """
    folder, archive = Path(folder).absolute(), Path(archive)
    if not folder.parent.name.startswith("Dataset") or len(folder.name.split("__")) != 3:
        raise SettingsError(
            f"{folder} is not named DATASET/TRAINER__PLANS__CONFIGURATION, which tells where a model is installed. "
            "Put it into folders of these names."
        )
    checkpoints = [folder / f"fold_{fold}" / checkpoint_name for fold in folds]
    require_replaceable(archive, _is_model, "an exported model")
    require_whole_model(folder, checkpoints)
    inside = Path(folder.parent.name, folder.name)
    with replacing(archive) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in files_of_model(folder, folds, checkpoint_name):
            # Weights do not get smaller, and take long to try.
            method = zipfile.ZIP_STORED if file.suffix in (".pth", ".png") else zipfile.ZIP_DEFLATED
            opened.write(file, (inside / file.relative_to(folder)).as_posix(), method)
        if card:
            content = load_checkpoint(checkpoints[0], trusted=False, mmap=True)
            opened.writestr((inside / CARD_NAME).as_posix(), model_card(folder, content, folds, licence))
    return sha256_of(archive)


def _is_model(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as opened:
        return any(name.endswith("/plans.json") for name in opened.namelist())


def files_of_model(folder: Path, folds: Sequence[int | str], checkpoint_name: str) -> list[Path]:
    """What is exported: what prediction needs, how good the model is, and its calibration."""
    files = [folder / name for name in OF_MODEL]
    for fold in folds:
        files += [folder / f"fold_{fold}" / name for name in (checkpoint_name, *OF_FOLD)]
    for table in evaluation_tables(folder, folds):
        files += [table.with_name(name) for name in EVALUATION_FILES]
    for pattern in OF_CALIBRATION:
        files += sorted((folder / CALIBRATION_FOLDER).glob(pattern))
    return [file for file in files if file.is_file()]
