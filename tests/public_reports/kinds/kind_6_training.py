"""Kind 6: files that run code, on the way into a training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from helpers.tiny_model import CONFIGURATION, SHAPE
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetNumpy
from public_reports.situation import Place, Situation
from public_reports.strange_code import (
    REFUSED,
    STOCK,
    CreatesFile,
    argument,
    edit,
    module_of_the_user,
    network,
    nothing_ran,
    stock,
    trap,
    with_code,
)

CPU = torch.device("cpu")


def _pretrained(*command: str) -> Callable[[Place], int]:
    """``-pretrained_weights`` with a checkpoint that runs code."""

    def act(place: Place) -> int:
        model = place.own_model()
        file = model.folder / "fold_0" / "checkpoint_final.pth"
        with_code(file, trap(place))
        return place.run("train", "501", CONFIGURATION, "0", "-device", "cpu", "-pretrained_weights", file, *command)

    return act


def _pretrained_by_nnunet(place: Place) -> int:
    """The same by nnU-Net's own command, which never calls ours."""
    from nnunetv2.run.run_training import run_training

    from nnunet_hetero.errors import SettingsError

    model = place.own_model()
    file = model.folder / "fold_0" / "checkpoint_final.pth"
    with_code(file, trap(place))
    preprocessed = model.preprocessed / model.dataset / f"nnUNetPlans_{CONFIGURATION}"
    preprocessed.mkdir()
    (preprocessed / "a.b2nd").touch()  # tells nnU-Net the format; the weights are loaded before the cases
    try:
        run_training("501", CONFIGURATION, "0", "HeteroModalVAETrainer", pretrained_weights=str(file), device=CPU)
    except SettingsError as error:
        print(error)
        return 1
    return 0


def _continued(flag: str, trainer: str) -> Callable[[Place], int]:
    """``--c`` and ``--val`` with a checkpoint that runs code."""

    def act(place: Place) -> int:
        model = place.own_model().folder
        model = stock(model) if trainer == STOCK else model
        with_code(model / "fold_0" / "checkpoint_final.pth", trap(place))
        return place.run("train", "501", CONFIGURATION, "0", "-device", "cpu", "-tr", trainer, flag)

    return act


def _training_plans(trainer: str) -> Callable[[Place], int]:
    """Plans that a data set got from elsewhere."""

    def act(place: Place) -> int:
        module_of_the_user(place)
        model = place.own_model()
        edit(model.preprocessed / model.dataset / "nnUNetPlans.json", network("module_of_the_user.call"))
        return place.run("train", "501", CONFIGURATION, "0", "-device", "cpu", "-tr", trainer)

    return act


def _planned(place: Place) -> int:
    module_of_the_user(place)
    model = place.own_model()
    change = argument("norm_op", "module_of_the_user.Thing")
    edit(model.preprocessed / model.dataset / "nnUNetPlans.json", change)
    return place.run("plan", "-d", "501", "--out_plans", "new", "--set", "num_epochs=3")


def _preprocessed_by_others(trainer: str) -> Callable[[Place], int]:
    """nnU-Net keeps a pickle beside each preprocessed case."""

    def act(place: Place) -> int:
        model = place.own_model()
        folder = model.preprocessed / model.dataset / f"nnUNetPlans_{CONFIGURATION}"
        folder.mkdir()
        for file in model.images.glob("*_0000.nii.gz"):
            case = str(folder / file.name.removesuffix("_0000.nii.gz"))
            data = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
            nnUNetDatasetNumpy.save_case(data, np.zeros((1, *SHAPE), np.int8), {"a": CreatesFile(trap(place))}, case)
        return place.run("train", "501", CONFIGURATION, "0", "-device", "cpu", "-tr", trainer)

    return act


SITUATIONS = [
    Situation("code 1", "pretrained weights that run code", _pretrained(), says=("wants to load", *REFUSED)),
    Situation("code 1a", "the same for nnU-Net's trainer", _pretrained("-tr", STOCK), says=("wants to load", *REFUSED)),
    Situation("code 1b", "the same by nnU-Net's command", _pretrained_by_nnunet, says=("wants to load", *REFUSED)),
    *(
        Situation(
            f"code 2{trainer[0]}{flag}",
            f"a checkpoint that runs code, {flag} of {trainer}",
            _continued(flag, trainer),
            says=("wants to load", *REFUSED),
            check=nothing_ran,
        )
        for flag in ("--c", "--val")
        for trainer in ("HeteroModalVAETrainer", STOCK)
    ),
    Situation("code 8", "plans of a data set that name code", _training_plans("HeteroModalVAETrainer"), says=REFUSED),
    Situation("code 8a", "the same for nnU-Net's trainer", _training_plans(STOCK), says=REFUSED, check=nothing_ran),
    Situation("code 8b", "plans to derive others from", _planned, says=("--trust_checkpoint",), check=nothing_ran),
    Situation(
        "code 8c",
        "preprocessed cases of others",
        _preprocessed_by_others("HeteroModalVAETrainer"),
        says=REFUSED,
        check=nothing_ran,
    ),
]
