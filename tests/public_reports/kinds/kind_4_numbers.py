"""Kind 4: a number that means something else in the data set, and names of channels with two meanings."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np
from helpers.phantoms import phantom, save_nifti
from helpers.tiny_model import read_array, write_case, write_image
from public_reports.situation import MODEL, Place, Situation


def _evaluate(place: Place, change: Callable[[np.ndarray], np.ndarray]) -> int:
    labels = place.folder / "labels"
    write_case(place.images, "a", labels=labels)
    write_image(labels / "a.nii.gz", change(read_array(labels / "a.nii.gz")))
    options = ("-device", "cpu", "--disable_progress_bar", "--subsets", "T1")
    return place.run("evaluate", "-i", place.images, "-l", labels, "-o", place.out, *MODEL, *options)


def _convert(place: Place, change: Callable[[np.ndarray], np.ndarray]) -> int:
    case = "BraTS20_Training_001"
    for what in ("t1", "t1ce", "t2", "flair", "seg"):
        data = change(phantom(1)[what]) if what == "seg" else phantom(1)[what]
        save_nifti(data, phantom(1)["affine"], place.folder / f"raw/{case}/{case}_{what}.nii.gz")
    return place.convert("brats", place.folder / "raw")


def _raw_brats(label: np.ndarray) -> np.ndarray:
    return np.where(label == 3, 4, label).astype(np.uint8)


def _all_but(share: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda label: label.astype(np.float32) * np.float32(share)


def _nothing_measured(place: Place) -> None:
    assert not (place.out / "summary.json").exists() and not (place.out / "table.md").exists()


def _plan(place: Place) -> int:
    return place.run("plan", *MODEL[:4], "--out_plans", "Mine", "--set", "num_epochs=3")


def _train(place: Place) -> int:
    (place.model.preprocessed / place.model.dataset / "nnUNetPlans_3d_fullres").mkdir()
    return place.run("train", "501", "3d_fullres", "0", "-device", "cpu")


def _predict(place: Place) -> int:
    write_case(place.images, "a", present=(0, 2, 3))
    return place.predict()


COMMANDS = {
    "plan": _plan,
    "fill-gaps": lambda place: place.run("fill-gaps", "-d", "501"),
    "train": _train,
    "predict": _predict,
}
NAMES = {
    "no numbers": {"T1": 0, "T1c": 1, "T2": 2, "FLAIR": 3},
    "a gap": {"0": "T1", "1": "T1c", "2": "T2", "4": "FLAIR"},
    "a list": ["T1", "T1c", "T2", "FLAIR"],
    "the same name twice": {"0": "T1", "1": "t1 ", "2": "T2", "3": "FLAIR"},
    "an order that nnU-Net reads otherwise": {"3": "FLAIR", "2": "CT", "1": "T1c", "0": "T1"},
}


def _with_names(place: Place, names: object, command: Callable[[Place], int]) -> int:
    model = place.own_model()
    for folder in (model.raw / model.dataset, model.preprocessed / model.dataset, model.folder):
        content = json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").write_text(json.dumps({**content, "channel_names": names}))
    return command(place)


SITUATIONS = [
    Situation(
        "13",
        "labels of the raw data",
        partial(_evaluate, change=_raw_brats),
        says=("has the labels 0, 1, 2, 4; expected only 0, 1, 2, 3", "4 is 3"),
        check=_nothing_measured,
    ),
    Situation(
        "13a",
        "labels times 85",
        partial(_evaluate, change=lambda label: 85 * label),
        says=("labels times 85: 85 is 1",),
        check=_nothing_measured,
    ),
    Situation(
        "13b",
        "labels all but whole",
        partial(_evaluate, change=_all_but(0.9999)),
        0,
        ("which are rounded to 0, 1, 2, 3",),
    ),
    Situation(
        "13c",
        "labels that are not",
        partial(_evaluate, change=_all_but(0.9)),
        says=("has the labels 0, 0.9, 1.8",),
        check=_nothing_measured,
    ),
    Situation(
        "13d",
        "the same, converted",
        partial(_convert, change=_all_but(0.9999999)),
        0,
        ("0.9999999", "rounded to 0, 1, 2, 4"),
    ),
    Situation(
        "13e", "digits in words", partial(_convert, change=_all_but(0.99)), says=("has the labels 0, 0.99, 1.98",)
    ),
    *(
        Situation(
            f"16 {command} {title}",
            "names of channels",
            partial(_with_names, names=names, command=act),
            says=("dataset.json",) if "twice" not in title else ("more than once",),
        )
        for title, names in NAMES.items()
        for command, act in COMMANDS.items()
    ),
    Situation(
        "16",
        "a blank in a name",
        partial(_with_names, names={"0": "T1", "1": "T1c ", "2": "T2", "3": "FLAIR"}, command=_predict),
        0,
        ("absent: T1c)",),
    ),
]
