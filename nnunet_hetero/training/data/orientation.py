"""The one orientation that all training images must have: the network sees voxels in the order of the files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunet_hetero.cases.intensities import RawImages
from nnunet_hetero.cases.orientation import UNKNOWN, in_words, most_common
from nnunet_hetero.cases.oriented_reader import stored_orientation
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.nnunet.protocols import TrainerOfFold
from nnunet_hetero.reorient.listing import files_of_training_cases, mixed_in_words, orientations_of_cases


class OrientedTrainer(TrainerOfFold):
    """A trainer whose images have an orientation.

    Attributes:
        orientation: The one that the training began with, if it is continued; else `UNKNOWN`.
    """

    orientation: str | None


def settled_orientation(trainer: OrientedTrainer, datasets: Iterable[nnUNetBaseDataset]) -> str | None:
    """The orientation that nnU-Net's preprocessing found the images in; None if they have no place in space.

    Args:
        trainer: On its way into training.
        datasets: The preprocessed cases; their properties tell, so that the raw images need not be there. Where these
            are, they tell besides whether all files of a case have one orientation.

    Raises:
        DataError: If there is more than one.
        SettingsError: If it is another one than before.
    """
    before, name = trainer.orientation, trainer.plans_manager.dataset_name
    found: dict[str, str | None] = {}
    for dataset in datasets:
        for case in dataset.identifiers:
            if case not in found:
                found[case] = stored_orientation(dataset.load_case(case)[3])
    raw = RawImages.of_trainer(trainer)
    of_files = _mixed_cases(raw.folder, found, type(raw.reader))
    if len({*found.values(), *of_files.values()}) > 1:
        raise DataError(mixed_in_words(in_words({**found, **of_files}), name))
    now = most_common(found.values())
    if before not in (UNKNOWN, now):
        raise SettingsError(
            f"The training began with images in the orientation {before}, and they now have {now}. Bring them back "
            f"(nnunet_hetero reorient -d {name} --undo) and preprocess again, or start anew in another output "
            "folder."
        )
    return now


def _mixed_cases(folder: Path, cases: Iterable[str], reader: type[BaseReaderWriter]) -> dict[str, str | None]:
    """Orientations of the raw files of cases whose files differ; nnU-Net stacks them, and keeps that of the first."""
    try:
        files = files_of_training_cases(folder)
        wanted = {case: files[case] for case in cases if case in files}
        of_cases = orientations_of_cases(wanted, reader)
    except (OSError, AssertionError, DataError):  # a training does not need the raw images
        return {}
    return {name: orientation for name, orientation in of_cases.items() if name not in wanted}
