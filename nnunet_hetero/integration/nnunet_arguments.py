"""Arguments of nnU-Net's commands, checked before nnU-Net acts on them: where it would end in a traceback, in words."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration.nnunet_flags import PREDICT_FLAGS, TRAIN_FLAGS, flag_value, train_arguments
from nnunet_hetero.nnunet.arguments import DEVICES, fold, step_size, usable_device, whole_number
from nnunet_hetero.nnunet.environment import OUR_TRAINERS
from nnunet_hetero.nnunet.folders import model_folder, plans_file

_PREDICT_TYPES: dict[str, Callable[[str], Any]] = {
    "-npp": whole_number(),
    "-nps": whole_number(),
    "-step_size": step_size,
    "-num_parts": whole_number(1),
    "-part_id": whole_number(),
}


def require_possible_prediction(argv: Sequence[str], here: bool = True) -> None:
    """Refuse arguments of a prediction command that nnU-Net cannot work with.

    Args:
        argv: Without ours. What is missing or unknown, nnU-Net's parser words.
        here: Whether this machine is going to do it, so that it must have the device.

    Raises:
        SettingsError: If a value is impossible, there is no such device, or input or output are no folders.
    """
    values = _checked(argv, PREDICT_FLAGS, _PREDICT_TYPES)
    for text in flag_value(argv, "-f") or ():
        _parsed("-f", text, fold)
    parts, part = values.get("-num_parts", 1), values.get("-part_id", 0)
    if part >= parts:
        raise SettingsError(f"-part_id is {part}, but -num_parts is {parts}; the parts are counted from 0.")
    _require_device(flag_value(argv, "-device"), here)
    dataset, configuration = flag_value(argv, "-d"), flag_value(argv, "-c")
    if flag_value(argv, "-m") is None and dataset is not None and configuration is not None:
        # Whether there is such a data set; the model is looked for when it is loaded.
        model_folder(dataset, flag_value(argv, "-tr") or "", flag_value(argv, "-p") or "", configuration)
    folder = flag_value(argv, "-m")
    if folder is not None and not os.path.isdir(folder):
        raise SettingsError(f"-m {folder} is no folder. Give the folder of a trained model.")
    source, output = flag_value(argv, "-i"), flag_value(argv, "-o")
    if source is not None and not os.path.isdir(source):
        raise SettingsError(f"-i {source} is no folder. Give the folder of the images.")
    if output is not None:
        require_output_folder(output)


def require_possible_training(argv: Sequence[str], here: bool = True) -> None:
    """Refuse arguments of the training command that nnU-Net cannot work with.

    Args:
        argv: What is missing or unknown, nnU-Net's parser words.
        here: Whether this machine is going to do it, so that it must have the device.

    Raises:
        SettingsError: If a value is impossible, there is no such device, data set, plans or configuration, or the data
            is not preprocessed.
        DataError: If dataset.json or the splits are not what they must be.
    """
    training = train_arguments(argv)
    if training is None:
        return
    _checked(argv, TRAIN_FLAGS, {"-num_gpus": whole_number(1)})
    _parsed("the fold", training.fold, fold)
    _require_device(training.device, here)
    _require_trainer(training.tr)
    _require_planned(plans_file(training.dataset, training.p), training.configuration, training.dataset)


def _require_trainer(name: str) -> None:
    if name in OUR_TRAINERS:
        return
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    try:
        recursive_find_trainer_class_by_name(name)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise SettingsError(
            f"-tr {name}: nnU-Net finds no such trainer. Ours are {', '.join(OUR_TRAINERS)}; those of others must lie "
            "in a folder that nnUNet_extTrainer names."
        ) from error


def _require_planned(file: Path, configuration: str, dataset: str) -> None:
    # Late: they load nnU-Net, which takes seconds.
    from nnunet_hetero.nnunet.json_files import DATASET_JSON, PLANS, SPLITS, checked_configuration

    dataset_json = DATASET_JSON.read(file.with_name("dataset.json"))
    channels = len(dataset_json.get("channel_names") or dataset_json["modality"])
    found = checked_configuration(PLANS.read(file), configuration, file, channels)
    SPLITS.read_if_there(file.with_name("splits_final.json"))
    if not (file.parent / found["data_identifier"]).is_dir():
        place = file.parent / found["data_identifier"]
        raise SettingsError(
            f"{place} is not there: the configuration {configuration} is not preprocessed. "
            f"Run: nnUNetv2_preprocess -d {dataset} -c {configuration} -plans_name {file.stem}"
        )


def require_output_folder(path: str | os.PathLike) -> None:
    """Refuse a path that cannot be made a folder.

    Raises:
        SettingsError: If it, or a part of it, is a file or a link that leads nowhere.
    """
    for place in (Path(path).absolute(), *Path(path).absolute().parents):
        if os.path.lexists(place) and not place.is_dir():
            what = "a link that leads to no folder" if place.is_symlink() else "a file"
            raise SettingsError(f"{path} cannot be the output folder: {place} is {what}. Choose another one.")


def _checked(argv: Sequence[str], flags: Sequence[str], types: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    given = {flag: flag_value(argv, flag, flags) for flag in types}
    return {flag: _parsed(flag, text, types[flag]) for flag, text in given.items() if text is not None}


def _parsed(flag: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"{flag}: {error}. Give such a value.") from error


def _require_device(name: str | None, here: bool) -> None:
    name = "cuda" if name is None else name  # nnU-Net's default
    if name not in DEVICES:
        raise SettingsError(
            f"-device {name}: nnU-Net takes {', '.join(DEVICES)}. To choose among GPUs, set CUDA_VISIBLE_DEVICES."
        )
    if here:
        usable_device(name)
