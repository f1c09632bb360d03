"""Which orientation the files of a data set have, by their headers alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO

from nnunet_hetero.cases.image_files import is_nifti, read_header
from nnunet_hetero.cases.orientation import axis_codes, in_words, most_common, stored_orientation
from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.io.processes import threads

PLACING = ("SimpleITK", "Nibabel")
"""How the names of nnU-Net's readers begin that say where in the patient an image lies."""

TURNING = "WithReorient"
"""How the names of those end that turn every image themselves: orientations may differ, the network sees one."""

AT_ONCE = 8


def mending(dataset: str) -> str:
    """The commands that bring a data set to one orientation.

    Args:
        dataset: Name or ID.

    Example:
        >>> mending("Dataset501_BraTS")
        'nnunet_hetero reorient -d 501; nnUNetv2_plan_and_preprocess -d 501'
    """
    number = number_of(dataset)
    return f"nnunet_hetero reorient -d {number}; nnUNetv2_plan_and_preprocess -d {number}"


def number_of(dataset: str) -> str:
    """The ID of a data set; nnU-Net's planning takes no names.

    Args:
        dataset: Name or ID.
    """
    by_name = re.match(r"Dataset(\d+)_", dataset)
    return str(int(by_name[1])) if by_name else dataset


def orientation_in_file(file: str | os.PathLike, reader: type[BaseReaderWriter]) -> str | None:
    """The orientation that one of nnU-Net's readers takes a file to have, without a look at the voxels.

    Args:
        file: An image or a label map.
        reader: That of its data set.

    Returns:
        Three letters; None for what has no place in space, and for readers that turn images themselves.

    Raises:
        DataError: If the header cannot be read.
    """
    if not reader.__name__.startswith(PLACING) or reader.__name__.endswith(TURNING):
        return None
    if is_nifti(file) and issubclass(reader, NibabelIO):
        header = read_header(file)
        return None if header["dim"][0] < 3 else axis_codes(header.get_best_affine())
    return stored_orientation(file)


def files_of_training_cases(folder: Path) -> dict[str, list[str]]:
    """Images and label of each training case of a raw data set, those that are there.

    Args:
        folder: ``nnUNet_raw/DATASET``.

    Raises:
        DataError: If it has no ``dataset.json``.
    """
    entries = training_files(folder, read_dataset_json(folder))
    files = {case: [*entry["images"], entry["label"]] for case, entry in entries.items()}
    return {case: list(filter(os.path.isfile, paths)) for case, paths in files.items()}


def reader_of(folder: Path, files: Mapping[str, Sequence[str]]) -> type[BaseReaderWriter]:
    """nnU-Net's reader of a data set.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        files: By training case.

    Raises:
        DataError: If there is no case.
        SettingsError: If nnU-Net has no reader for its files.
    """
    example = next((paths[0] for paths in files.values() if paths), None)
    if example is None:
        raise DataError(f"{folder} has no training case.")
    return type(CaseFolder.of_dataset(folder).reader(example))


def orientations_of_cases(files: Mapping[str, Sequence[str]], reader: type[BaseReaderWriter]) -> dict[str, str | None]:
    """The orientation of each case, that of most of its files; and of files that have another one, by their names.

    Args:
        files: By case.
        reader: That of the data set.

    Raises:
        DataError: If a header cannot be read.
    """
    found: dict[str, str | None] = {}
    with threads(AT_ONCE) as pool:
        for case, paths in files.items():
            of_files = dict(zip(paths, pool.map(lambda file: orientation_in_file(file, reader), paths), strict=True))
            found[case] = most_common(of_files.values())
            found |= {os.path.basename(file): one for file, one in of_files.items() if one != found[case]}
    return found


def mixture_in_words(folder: Path) -> str | None:
    """Which training cases of a raw data set have which orientation, if there is more than one; else None.

    Args:
        folder: ``nnUNet_raw/DATASET``.

    Raises:
        DataError: If the data set or a header cannot be read.
        SettingsError: If nnU-Net has no reader for its files.
    """
    files = files_of_training_cases(folder)
    found = orientations_of_cases(files, reader_of(folder, files))
    return in_words(found) if len(set(found.values())) > 1 else None


def require_one_orientation(folder: Path) -> None:
    """Refuse a raw data set whose training cases have different orientations.

    Args:
        folder: ``nnUNet_raw/DATASET``.

    Raises:
        DataError: If so, or if the data set or a header cannot be read.
    """
    mixture = mixture_in_words(folder)
    if mixture:
        raise DataError(mixed_in_words(mixture, folder.name))


def mixed_in_words(mixture: str, dataset: str) -> str:
    """What is wrong with a data set of different orientations, and how to mend it.

    Args:
        mixture: See `in_words`.
        dataset: Its name or ID.
    """
    return (
        f"The training images of {dataset} have different orientations: {mixture}. The network sees voxels in the "
        "order of the files and would learn all of them badly. Bring them to one orientation, which resamples nothing: "
        f"{mending(dataset)}"
    )
