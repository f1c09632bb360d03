"""Kind 6: files that run code, among those of a model."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from helpers.tiny_model import CONFIGURATION, write_case
from public_reports.situation import QUICK, Place, Situation
from public_reports.strange_code import (
    REFUSED,
    STOCK,
    argument,
    edit,
    module_of_the_user,
    network,
    nothing_ran,
    stock,
    trap,
    with_code,
)

QUICK_STOCK = QUICK[: QUICK.index("--num_samples")]


def _predict_folder(place: Place, model: Path, *flags: str) -> int:
    if not list(place.images.iterdir()):
        write_case(place.images, "a")
    quick = QUICK if STOCK not in model.name else QUICK_STOCK
    return place.run("predict", "-m", model, "-i", place.images, "-o", place.out, "-f", "0", *quick, *flags)


def _configuration(key: str, name: object) -> Callable[[dict], object]:
    return lambda plans: plans["configurations"][CONFIGURATION].update({key: name})


def _inherited(plans: dict) -> None:
    """The name stands in a configuration that the trained one inherits from."""
    configurations = plans["configurations"]
    configurations["base"] = configurations[CONFIGURATION]
    network("torch.hub.load")({"configurations": {CONFIGURATION: configurations["base"]}})
    configurations[CONFIGURATION] = {"inherits_from": "base"}


PLANS: dict[str, Callable[[dict], object]] = {
    "torch.hub.load as network": network("torch.hub.load"),
    "a function of the user as network": network("module_of_the_user.call"),
    "a class of the user as norm": argument("norm_op", "module_of_the_user.Thing"),
    "a class of the user as convolution": argument("conv_op", "module_of_the_user.Thing"),
    "a path out of torch as nonlinearity": argument("nonlin", "torch.nn.functional.os.system"),
    "an inherited network": _inherited,
    "a function as preprocessor": _configuration("preprocessor_name", "load_json"),
    "a module as resampling": _configuration("resampling_fn_data", "np"),
    "a module as resampling of labels": _configuration("resampling_fn_seg", "pd"),
    "a module as resampling of probabilities": _configuration("resampling_fn_probabilities", "np"),
    "a module as normalisation": _configuration("normalization_schemes", ["np"] * 4),
    "a module as label manager": lambda plans: plans.update({"label_manager": "np"}),
    "a module as reader": lambda plans: plans.update({"image_reader_writer": "sitk"}),
    "a function as planner": lambda plans: plans.update({"experiment_planner_used": "load_json"}),
    "another folder as name of the plans": lambda plans: plans.update({"plans_name": "../../elsewhere"}),
    "another folder as data": _configuration("data_identifier", "../../elsewhere"),
}


DATASETS: dict[str, Callable[[dict], object]] = {
    "a module as reader of the data set": lambda content: content.update({"overwrite_image_reader_writer": "sitk"}),
    "another folder as ending": lambda content: content.update({"file_ending": "/../../.profile"}),
}


FILES = {**{title: ("plans.json", change) for title, change in PLANS.items()}}


def _model_names(title: str, trainer: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        module_of_the_user(place)
        model = place.own_model().folder
        model = stock(model) if trainer == STOCK else model
        name, change = FILES[title]
        edit(model / name, change)
        return _predict_folder(place, model)

    return act


def _install(title: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        module_of_the_user(place)
        model = stock(place.own_model().folder)
        name, change = FILES[title]
        edit(model / name, change)
        return _install_zipped(place, model)

    return act


def _install_zipped(place: Place, model: Path, *extra: tuple[str, Path]) -> int:
    archive, results = place.folder / "model.zip", place.folder / "installed"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(model.rglob("*")):
            if file.is_file():
                opened.write(file, Path(model.parent.name) / file.relative_to(model.parent))
        for name, file in extra:
            opened.write(file, name)
    place.monkeypatch.setenv("nnUNet_results", str(results))
    return place.run("install-model", archive)


def _nothing_installed(place: Place) -> None:
    nothing_ran(place)
    assert not list((place.folder / "installed").rglob("*"))


def _checkpoint_elsewhere(place: Place) -> int:
    """In an archive, but not where checkpoints lie: -chk may name it later."""
    model = place.own_model().folder
    shutil.copy(model / "fold_0" / "checkpoint_final.pth", place.folder / "other.pth")
    with_code(place.folder / "other.pth", trap(place))
    name = f"{model.parent.name}/{model.name}/fold_0/more/other.pth"
    return _install_zipped(place, model, (name, place.folder / "other.pth"))


def _plans_elsewhere(place: Place) -> int:
    """In an archive, in a folder whose name is no model's, for -m."""
    module_of_the_user(place)
    model = place.own_model().folder
    shutil.copy(model / "plans.json", place.folder / "plans.json")
    edit(place.folder / "plans.json", network("module_of_the_user.call"))
    return _install_zipped(place, model, (f"{model.parent.name}/renamed/plans.json", place.folder / "plans.json"))


def _another_fold(trainer: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        model = place.own_model().folder
        model = stock(model) if trainer == STOCK else model
        with_code(model / "fold_1" / "checkpoint_final.pth", trap(place))
        return _predict_folder(place, model, "-f", "0", "1")

    return act


def _name_with_brackets(place: Place) -> int:
    """A name of a checkpoint that a pattern would not find."""
    model = stock(place.own_model().folder)
    for fold in model.glob("fold_*"):
        shutil.copy(fold / "checkpoint_final.pth", fold / "c[1].pth")
    with_code(model / "fold_0" / "c[1].pth", trap(place))
    return _predict_folder(place, model, "-chk", "c[1].pth")


def _trainer_that_is_none(name: object) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        model = place.own_model().folder
        for file in model.glob("fold_*/*.pth"):
            torch.save({**torch.load(file, weights_only=False), "trainer_name": name}, file)
        return _predict_folder(place, model)

    return act


def _other_command(*words: str) -> Callable[[Place], int]:
    """A command of ours with a model whose plans name a module of the user's."""

    def act(place: Place) -> int:
        module_of_the_user(place)
        edit(place.own_model().folder / "plans.json", argument("norm_op", "module_of_the_user.Thing"))
        write_case(place.images, "a", present=(0, 1))
        return place.run(*words, *(("-i", place.images, "-o", place.out) if words[0] == "complete" else ()))

    return act


def _from_python(place: Place) -> int:
    from nnunet_hetero.errors import SettingsError
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

    module_of_the_user(place)
    model = place.own_model().folder
    edit(model / "plans.json", argument("norm_op", "module_of_the_user.Thing"))
    try:
        HeteroModalPredictor.from_model_folder(model, device="cpu")
    except SettingsError as error:
        print(error)
        return 1
    return 0


def _renamed(place: Place) -> int:
    """A folder with the name of nnU-Net's trainer and our checkpoint: its predictor would take gaps for images."""
    model = place.own_model().folder
    model = model.rename(model.with_name(model.name.replace("HeteroModalVAETrainer", STOCK)))
    write_case(place.images, "a1", present=(1, 2))
    return _predict_folder(place, model)


def _segmented_without(place: Place) -> None:
    record = json.loads((place.out / "modalities.json").read_text())
    assert set(record["a1"]["absent"]) == {"T1", "FLAIR"}


MODEL = ("-d", "501", "-c", CONFIGURATION, "-f", "0")


OTHER = {
    "complete": ("complete", *MODEL, "-device", "cpu"),
    "evaluate": ("evaluate", *MODEL, "-device", "cpu"),
}

SITUATIONS = [
    *(
        Situation(
            f"code 3{number}{trainer[0]}",
            f"{title}, trainer {trainer}",
            _model_names(title, trainer),
            says=REFUSED,
            check=nothing_ran,
        )
        for number, title in enumerate(FILES)
        for trainer in ("HeteroModalVAETrainer", STOCK)
    ),
    *(
        Situation(f"code 4{number}", f"{title}, packed", _install(title), says=REFUSED, check=_nothing_installed)
        for number, title in enumerate(FILES)
    ),
    Situation(
        "code 4a",
        "a checkpoint of no fold, packed",
        _checkpoint_elsewhere,
        says=REFUSED,
        check=_nothing_installed,
    ),
    Situation("code 4b", "plans of no model, packed", _plans_elsewhere, says=REFUSED, check=_nothing_installed),
    Situation("code 5", "a checkpoint of another fold", _another_fold("ours"), says=REFUSED, check=nothing_ran),
    Situation("code 5a", "the same of nnU-Net's trainer", _another_fold(STOCK), says=REFUSED, check=nothing_ran),
    Situation("code 5b", "a name that is a pattern", _name_with_brackets, says=REFUSED, check=nothing_ran),
    Situation("code 6", "a module as trainer", _trainer_that_is_none("os"), says=("does not find the trainer 'os'",)),
    Situation("code 6a", "a path as trainer", _trainer_that_is_none("../../x"), says=("does not find the trainer",)),
    Situation("code 6b", "a number as trainer", _trainer_that_is_none(5), says=("trainer",)),
    *(
        Situation(f"code 7{name}", f"plans that name a module, {name}", _other_command(*words), says=REFUSED)
        for name, words in OTHER.items()
    ),
    Situation("code 7p", "plans that name a module, from Python", _from_python, says=REFUSED, check=nothing_ran),
    Situation("code 9", "a renamed folder of a model", _renamed, exit_code=0, check=_segmented_without),
]
