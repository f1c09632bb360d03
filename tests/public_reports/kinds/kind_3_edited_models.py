"""Kind 3: two readers, two truths. Here the files of a model folder and what its checkpoints were trained with."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
from helpers.tiny_model import CONFIGURATION, trained_otherwise, write_case
from public_reports.situation import MODEL, Place, Situation

HERE = ("configurations", CONFIGURATION)


def _edit(place: Place, name: str, *path: str, value: object) -> None:
    """Another value at one place of a file of the model."""
    file = place.own_model().folder / name
    content = json.loads(file.read_text())
    part = content
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    file.write_text(json.dumps(content))


def _edited(name: str, *path: str, value: object) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        write_case(place.images, "a", present=(0, 3))
        _edit(place, name, *path, value=value)
        return place.predict()

    return act


def _edited_before_training(place: Place) -> int:
    write_case(place.images, "a", present=(0, 3))
    folder = place.own_model().folder
    trained_otherwise(folder, lambda plans, configuration: configuration.update(spacing=[1.5, 1.5, 1.5]))
    return place.predict()


def _fold_of_another_training(place: Place) -> int:
    write_case(place.images, "a", present=(0, 3))
    file = place.own_model().folder / "fold_1" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["init_args"]["plans"]["configurations"][CONFIGURATION]["spacing"] = [3.0, 3.0, 3.0]
    torch.save(checkpoint, file)
    return place.predict("-f", "0", "1")


def _in_evaluation(place: Place) -> int:
    write_case(place.images, "a", labels=place.folder / "labels")
    _edit(place, "plans.json", *HERE, "spacing", value=[2.0, 2.0, 2.0])
    folders = ("-i", place.images, "-l", place.folder / "labels", "-o", place.out)
    return place.run("evaluate", *folders, *MODEL, "-device", "cpu")


def _in_completion(place: Place) -> int:
    write_case(place.images, "a", present=(0, 3))
    _edit(place, "dataset.json", "channel_names", value={"0": "FLAIR", "1": "T2", "2": "T1c", "3": "T1"})
    return place.run("complete", "-i", place.images, "-o", place.out, *MODEL, "-device", "cpu")


def _in_export(place: Place) -> int:
    _edit(place, "plans.json", *HERE, "patch_size", value=[32, 32, 32])
    return place.run("export-model", *MODEL, "-o", place.folder / "model.zip")


def _nothing(place: Place) -> None:
    assert not list(place.out.rglob("*.nii.gz")) and not (place.folder / "model.zip").exists()


def _segmented(place: Place) -> None:
    assert (place.out / "a.nii.gz").is_file()


REFUSED = [
    ("12", "spacing", ("plans.json", *HERE, "spacing"), [2.0, 2.0, 2.0], "spacing is [2.0, 2.0, 2.0]"),
    ("12a", "normalisation", ("plans.json", *HERE, "normalization_schemes"), ["CTNormalization"] * 4, "normalization"),
    ("12b", "patch", ("plans.json", *HERE, "patch_size"), [32, 32, 32], "patch_size is [32, 32, 32]"),
    (
        *("12c", "channel names reversed", ("dataset.json", "channel_names")),
        *({"0": "FLAIR", "1": "T2", "2": "T1c", "3": "T1"}, 'channel_names is ["FLAIR", "T2", "T1c", "T1"]'),
    ),
    ("12d", "labels", ("dataset.json", "labels", "enhancing tumor"), [2], "labels is"),
]
SITUATIONS = [
    *(
        Situation(
            number,
            f"a model's {what} edited after the training",
            _edited(*path, value=value),
            says=(path[0], "is not that of the training", words, "Put back"),
            check=_nothing,
        )
        for number, what, path, value, words in REFUSED
    ),
    Situation(
        "12e",
        "a batch size edited after the training",
        _edited("plans.json", *HERE, "batch_size", value=9),
        exit_code=0,
        says=("WARNING", "plans.json is not that of the training; it does not matter here: batch_size is 9"),
        check=_segmented,
    ),
    Situation(
        "12f",
        "plans edited before the training",
        _edited_before_training,
        exit_code=0,
        never=("Traceback", "is not that of the training"),
        check=_segmented,
    ),
    Situation(
        "12g",
        "folds of different plans as one ensemble",
        _fold_of_another_training,
        says=("fold_1/checkpoint_final.pth", "spacing"),
        check=_nothing,
    ),
    Situation("12h", "evaluate with edited plans", _in_evaluation, says=("plans.json", "spacing"), check=_nothing),
    Situation("12i", "complete with edited channels", _in_completion, says=("dataset.json",), check=_nothing),
    Situation("12j", "export-model with edited plans", _in_export, says=("plans.json", "patch_size"), check=_nothing),
]
