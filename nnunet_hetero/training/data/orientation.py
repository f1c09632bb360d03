"""The one orientation that all training images must have: the network sees voxels in the order of the files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunet_hetero.cases.intensities import RawImages
from nnunet_hetero.cases.orientation import UNKNOWN, in_words, most_common
from nnunet_hetero.cases.oriented_reader import stored_orientation
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.nnunet.protocols import TrainerOfFold
from nnunet_hetero.reorient.data_set import cases_turned_apart
from nnunet_hetero.reorient.listing import files_of_training_cases, mixed_in_words, number_of, orientations_of_cases


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
    preprocessed: dict[str, Path] = {}
    for dataset in datasets:
        for case in dataset.identifiers:
            if case not in found:
                found[case] = stored_orientation(dataset.load_case(case)[3])
                preprocessed[case] = Path(dataset.source_folder, f"{case}.pkl")
    raw = RawImages.of_trainer(trainer)
    found |= _raw_if_mixed(raw.folder, preprocessed, type(raw.reader))
    if len(set(found.values())) > 1:
        raise DataError(mixed_in_words(in_words(found), name))
    now = most_common(found.values())
    if before not in (UNKNOWN, now):
        raise SettingsError(
            f"The training began with images in the orientation {before}, and they now have {now}. Bring them back "
            f"(nnunet_hetero reorient -d {name} --undo) and preprocess again, or start anew in another output "
            "folder."
        )
    return now


def _raw_if_mixed(
    folder: Path, preprocessed: Mapping[str, Path], reader: type[BaseReaderWriter]
) -> dict[str, str | None]:
    """Orientations of the raw cases if files of one differ: nnU-Net stacks them, and keeps that of the first.

    Args:
        folder: ``nnUNet_raw/DATASET``; a training does not need it.
        preprocessed: By case, the file of its properties.
        reader: nnU-Net's.

    Raises:
        DataError: If files of a case differed when it was preprocessed, and do not any more.
    """
    try:
        files = files_of_training_cases(folder)
        wanted = {case: files[case] for case in preprocessed if case in files}
        of_cases = orientations_of_cases(wanted, reader)
        apart = cases_turned_apart(folder, wanted, of_cases)
    except (OSError, AssertionError, DataError):
        return {}
    if of_cases.keys() - wanted.keys():
        return of_cases
    stale = [case for case, turned in apart.items() if _newest(turned) > _newest([preprocessed[case]])]
    if stale:
        number = number_of(folder.name)
        raise DataError(
            f"Files of {', '.join(stale)} had different orientations when they were preprocessed; 'nnunet_hetero "
            "reorient' has turned them since. So the preprocessed images do not fit each other. Plan and preprocess "
            f"again: nnUNetv2_plan_and_preprocess -d {number}"
        )
    return {}


def _newest(files: Iterable[str | Path]) -> int:
    return max((os.stat(file).st_mtime_ns for file in files if os.path.isfile(file)), default=0)
