"""Cases with their true label maps: a fold's validation cases, or any two folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.label_maps.labels import dataset_labels, known_labels, raw_labels
from nnunet_hetero.cases.naming.neighbours import meant_instead
from nnunet_hetero.cases.preprocess import grid_difference, read_image
from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.folders import require_variables
from nnunet_hetero.nnunet.json_files import SPLITS
from nnunet_hetero.splits.record import held_out_names

IMAGE_FOLDERS = ("imagesTr", "imagesTs")
TRAINED_SPLITS = replace(
    SPLITS, remedy="nnU-Net writes it when it trains the first fold; put it back as it was in the training."
)


@dataclass(frozen=True)
class LabelledCase:
    """A case and the file of its true label map."""

    case: Case
    label: str


def folder_cases(
    images: str | os.PathLike, labels: str | os.PathLike, modalities: Modalities, file_ending: str
) -> list[LabelledCase]:
    """The cases of a folder of images, named as nnU-Net wants them, and of a folder of label maps.

    Raises:
        DataError: If a folder does not exist, has no case, or a case has no label map.
    """
    cases = find_cases(images, modalities, file_ending)
    found = [LabelledCase(case, str(Path(labels) / (case.name + file_ending))) for case in cases]
    _require_labels([entry for entry in found if any(entry.case.files)])
    return found


def validation_cases(dataset: str, fold: int | str, modalities: Modalities, dataset_json: dict) -> list[LabelledCase]:
    """The cases that a fold did not train on, as files of ``nnUNet_raw``.

    The raw images are read, not the preprocessed ones: nnU-Net crops and normalises a case by all of its images, so a
    preprocessed case would tell the model something about the modalities that it must not know.

    Args:
        dataset: Name of the dataset, ``DatasetNNN_NAME``.
        fold: Number of the fold; ``all`` gives every case of the dataset, since this fold trained on them all.
        modalities: The model's modalities.
        dataset_json: The model's ``dataset.json``.

    Raises:
        SettingsError: If a folder's variable is not set, or there is no such fold.
        DataError: If the raw dataset or its splits are not there, or a case has no files.
    """
    raw = _folder("nnUNet_raw") / dataset
    if not (raw / "dataset.json").is_file():
        raise DataError(
            f"The raw dataset {raw} is not there, and evaluation reads the raw images. Put it back, or give folders of "
            "images and labels with -i and -l."
        )
    files = training_files(raw, read_dataset_json(raw))
    names = list(files)
    if fold == "all":
        print(
            "WARNING: fold 'all' trained on every case, there is no held-out case. The results say how well the model "
            "remembers, not how well it segments new cases."
        )
    else:
        names = split_of(dataset, fold)["val"]
    return _labelled(names, files, f"validation case of fold {fold}", raw, modalities, dataset_json)


def require_split_of_training(fold_folder: Path, cases: Sequence[LabelledCase], file_ending: str) -> None:
    """Refuse validation cases that the training did not validate on: it may have trained on them.

    What nnU-Net predicted after the training tells which these were; where that is not there, nothing is known.

    Args:
        fold_folder: ``fold_X`` in the model's folder.
        cases: The validation cases of the fold, by the splits as they are now.
        file_ending: Of the dataset's files.

    Raises:
        SettingsError: If there are others.
    """
    folder = fold_folder / "validation"
    if not (folder / "summary.json").is_file():  # written last
        return
    validated = {file.name.removesuffix(file_ending) for file in folder.glob(f"*{file_ending}")}
    others = [entry.case.name for entry in cases if entry.case.name not in validated]
    if validated and others:
        raise SettingsError(
            f"splits_final.json is not that of the training: {len(others)} validation case(s), such as '{others[0]}', "
            f"are none of the {len(validated)} that it validated on ({folder}), so the model may have seen them. Put "
            "back the splits of the training, or give cases that it has not seen with -i and -l."
        )


def split_of(dataset: str, fold: int | str) -> dict[str, list[str]]:
    """Names of the cases that a fold trained on, ``train``, and validates on, ``val``.

    Args:
        dataset: Name of the dataset, ``DatasetNNN_NAME``.
        fold: Number of the fold.

    Raises:
        SettingsError: If a folder's variable is not set, or there is no such fold.
        DataError: If the splits are not there.
    """
    file = _folder("nnUNet_preprocessed") / dataset / "splits_final.json"
    splits = TRAINED_SPLITS.read(file)
    if not str(fold).isdigit() or int(fold) >= len(splits):
        raise SettingsError(f"There is no fold {fold}; {file} has the folds 0 to {len(splits) - 1}.")
    return splits[int(fold)]


def held_out_cases(
    dataset: str, folds: Sequence[int | str], modalities: Modalities, dataset_json: dict
) -> list[LabelledCase]:
    """The test cases that folds share, see `nnunet_hetero.splits`, as files of ``nnUNet_raw``.

    Args:
        dataset: Name of the dataset, ``DatasetNNN_NAME``.
        folds: Numbers of folds, or ``all``.
        modalities: The model's modalities.
        dataset_json: The model's ``dataset.json``.

    Raises:
        SettingsError: If a folder's variable is not set, there is no such fold, it has seen its test cases, or the
            folds have different ones.
        DataError: If there are no test cases, or they have no files.
    """
    raw = _folder("nnUNet_raw") / dataset
    preprocessed = _folder("nnUNet_preprocessed") / dataset
    names, *others = (held_out_names(preprocessed, fold) for fold in folds)
    if any(other != names for other in others):
        raise SettingsError(
            f"The folds {', '.join(map(str, folds))} have different test cases, which another one of them may have "
            "trained on. Evaluate each by itself, e.g. -f 0."
        )
    files = training_files(raw, read_dataset_json(raw))
    if (raw / "imagesTs").is_dir():
        ending = dataset_json["file_ending"]
        for case in find_cases(raw / "imagesTs", modalities, ending):
            label = str(raw / "labelsTs" / (case.name + ending))
            if any(case.files):
                files.setdefault(case.name, {"images": list(filter(None, case.files)), "label": label})
    return _labelled(names, files, "test case", raw, modalities, dataset_json)


def read_truth(entry: LabelledCase, images: CaseImages, reader: BaseReaderWriter, dataset_json: dict) -> np.ndarray:
    """The label map of a case, on the grid of its images.

    Args:
        entry: The case.
        images: Its images.
        reader: nnU-Net's, of the model.
        dataset_json: Says which labels there may be.

    Raises:
        DataError: If it cannot be read, lies on another grid, or has other labels.
    """
    what = f"Case '{entry.case.name}': label map {entry.label}"
    truth, grid = read_image(entry.label, what, reader.read_seg)
    channel = images.used[0]
    difference = grid_difference(truth, grid, images.data[channel], images.grid_of(channel))
    if difference:
        raise DataError(
            f"{what} lies on another grid than {images.modalities.names[channel]}: {difference}. Resample it to the "
            "images' grid."
        )
    return known_labels(truth, what, dataset_labels(dataset_json), raw_labels(dataset_json))


def _labelled(
    names: Sequence[str], files: dict, role: str, raw: Path, modalities: Modalities, dataset_json: dict
) -> list[LabelledCase]:
    absent = [name for name in names if name not in files]
    if absent:
        raise DataError(f"Case '{absent[0]}' is a {role}, but has no images in {raw}.")
    ending = dataset_json["file_ending"]
    cases = find_cases([files[name]["images"] for name in names], modalities, ending)
    # A dataset.json that lists its files may give them any names.
    cases = [Case(name, case.files, case.problem) for name, case in zip(names, cases, strict=True)]
    problems = _problems_of_names([case.files for case in cases], modalities, ending)
    cases = [replace(case, problem=case.problem or problems.get(case.name)) for case in cases]
    return _require_labels([LabelledCase(case, files[case.name]["label"]) for case in cases])


def _problems_of_names(files: Sequence[Sequence[str | None]], modalities: Modalities, ending: str) -> dict[str, str]:
    """By case, what is wrong with names in the folders that some files lie in."""
    folders = set(map(os.path.dirname, filter(None, chain.from_iterable(files))))
    if any(os.path.basename(folder) not in IMAGE_FOLDERS for folder in folders):
        return {}  # dataset.json lists files from elsewhere, which may have any names
    cases = chain.from_iterable(find_cases(folder, modalities, ending) for folder in sorted(folders))
    return {case.name: case.problem for case in cases if case.problem}


def _require_labels(cases: Sequence[LabelledCase]) -> list[LabelledCase]:
    without = [entry for entry in cases if not os.path.isfile(entry.label)]
    if without:
        instead = meant_instead(without[0].label)
        hint = f"There is {instead[0]}, which could be it: name it like that. " if instead else ""
        raise DataError(
            f"{len(without)} of {len(cases)} case(s) have no label map, e.g. case '{without[0].case.name}': expected "
            f"the file {without[0].label}. {hint}Give the folder of label maps with -l, or leave these cases out."
        )
    return list(cases)


def _folder(variable: str) -> Path:
    require_variables(variable)
    return Path(os.environ[variable])
