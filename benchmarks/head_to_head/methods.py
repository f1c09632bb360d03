"""The methods that are compared: a trainer each, with its settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnunet_hetero.config import PLAN, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, OUR_TRAINERS

STEPS_PER_EPOCH = (50, 250)
"""Least, for a fine schedule in short trainings, and most, as in nnU-Net."""

EPOCHS = 100
"""How many epochs a training is divided into, if that gives a number of steps between `STEPS_PER_EPOCH`."""


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        name: For the table and the folders.
        trainer: Name of the trainer.
        settings: Those of ours that differ from the trainer's defaults.
        note: What a reader of the table must know.
    """

    name: str
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


# The paper's own patch, batch and early end would be another budget than that of the others.
_SAME_BUDGET = {"patch_size": PLAN, "batch_size": PLAN, "early_stopping_epochs": None}

# Others under our network's optimiser, so that what the network does can be told from what the optimiser does.
_OUR_OPTIMISER = {"optimizer": "Muon", "initial_lr": 5e-3}

_SHORT = {
    DEFAULT_TRAINER: "ours",
    "ModalityDropoutTrainer": "dropout",
    "UHeMISTrainer": "uhemis",
    "UHVEDPaperTrainer": "paper",
    "MVAESamplingTrainer": "mvae",
    "DirectCompletionTrainer": "direct",
    "ModDropPlusTrainer": "moddrop_plus",
    "DeMoSegTrainer": "demoseg",
    "RFNetTrainer": "rfnet",
    "M3AETrainer": "m3ae",
}
"""Names for tables and folders; a trainer that is not here goes by its own."""

_OWN_SETTINGS = {"UHVEDPaperTrainer": _SAME_BUDGET}
_NOTES = {
    "UHVEDPaperTrainer": "Network, histogram standardisation and augmentation are the paper's; patch, batch and steps "
    "the plan's."
}


def _method(trainer: str) -> Method:
    return Method(_SHORT.get(trainer, trainer), trainer, _OWN_SETTINGS.get(trainer, {}), _NOTES.get(trainer, ""))


METHODS = {
    method.name: method
    for method in (
        *map(_method, OUR_TRAINERS),
        Method("dropout_muon", "ModalityDropoutTrainer", _OUR_OPTIMISER),
        Method("uhemis_muon", "UHeMISTrainer", _OUR_OPTIMISER),
        Method("moddrop_plus_muon", "ModDropPlusTrainer", _OUR_OPTIMISER),
        Method("demoseg_muon", "DeMoSegTrainer", _OUR_OPTIMISER),
        Method("rfnet_muon", "RFNetTrainer", _OUR_OPTIMISER),
        Method("m3ae_muon", "M3AETrainer", _OUR_OPTIMISER),
    )
}


def method_of(name: str) -> Method:
    """A method by its name in `METHODS`, or by the name of a trainer, ours or another package's.

    Raises:
        SettingsError: If there is none.
    """
    if name in METHODS:
        return METHODS[name]
    from nnunet_hetero.training.trainers import TRAINERS

    if name in TRAINERS:
        return Method(name, name)
    known = ", ".join(dict.fromkeys((*METHODS, *TRAINERS.names())))
    raise SettingsError(f"There is no method '{name}'. Known are: {known}; or define one with --variant.")


def choose_methods(
    names: Sequence[str], variants: Sequence[Sequence[str]] = (), common: Sequence[str] = ()
) -> list[Method]:
    """The methods that the command line asks for.

    Args:
        names: Of methods or trainers.
        variants: Each a new name, perhaps the method that it changes (else ours), and ``KEY=VALUE`` pairs.
        common: ``KEY=VALUE`` pairs for all; a variant's own go before them, and they before a method's.

    Raises:
        SettingsError: If a method, a setting or a value is unknown, or a name is there twice.
    """
    everyone = read_settings(common)
    chosen = [_with(method_of(name), everyone) for name in names]
    for name, *rest in variants:
        base = rest.pop(0) if rest and "=" not in rest[0] else "ours"
        chosen.append(_with(method_of(base), {**everyone, **read_settings(rest)}, name))
    taken = [method.name for method in chosen]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise SettingsError(f"Method(s) {', '.join(twice)} are named twice. Give every variant a name of its own.")
    for name in taken:
        if not name.replace("_", "").replace("-", "").isalnum():
            raise SettingsError(f"The method's name '{name}' must be letters, digits, '_' and '-': it names folders.")
    if not chosen:
        raise SettingsError("There is no method to compare. Name some with --methods or --variant.")
    return chosen


def _with(method: Method, settings: Mapping[str, Any], name: str | None = None) -> Method:
    return Method(name or method.name, method.trainer, {**method.settings, **settings}, method.note)


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs, values as in JSON (``0.1``, ``true``, ``null``, ``[32, 32]``) or plain text (``AdamW``).

    Raises:
        SettingsError: If a setting does not exist or is impossible.
    """
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"'{pair}' is no setting; write KEY=VALUE, e.g. kl_weight=0.")
        try:
            settings[key] = json.loads(text)
        except ValueError:
            settings[key] = text
    HeteroModalConfig.from_dict(settings)
    return settings


def training_length(steps: int) -> dict[str, int]:
    """The settings of a training of so many steps, rounded up to whole epochs.

    Args:
        steps: Of the optimiser, 1 or more.
    """
    least, most = STEPS_PER_EPOCH
    per_epoch = min(steps, max(least, min(most, -(-steps // EPOCHS))))
    return {
        "num_epochs": -(-steps // per_epoch),
        "num_iterations_per_epoch": per_epoch,
        # They are only shown in the log: the last checkpoint is evaluated, not the best.
        "num_val_iterations_per_epoch": max(1, per_epoch // 10),
    }


def settled(method: Method, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a training, the trainer's defaults among them.

    Args:
        method: Which trainer.
        settings: The training's own.

    Raises:
        SettingsError: If a setting is unknown or impossible, or there is no such trainer.
    """
    from nnunet_hetero.training.trainers import TRAINERS

    trainer = TRAINERS.get(method.trainer)
    return dataclasses.asdict(HeteroModalConfig.from_dict({**trainer.default_settings(), **settings}))
