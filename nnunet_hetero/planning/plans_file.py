"""nnU-Net's plans files: reading one, deriving another from it that shares its preprocessed data, writing it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import alone_in, replace_json
from nnunet_hetero.io.checkpoints import trusted_by_environment
from nnunet_hetero.nnunet.json_files import DATASET_JSON, PLANS, checked_configuration
from nnunet_hetero.nnunet.model_gate import require_plain_plans

ORIGIN = "derived_from"
"""Key of the plans that we write: the plans that they come from. nnU-Net ignores it."""

Configuration = dict[str, Any]

PREPROCESSED = dataclasses.replace(
    DATASET_JSON, remedy="Plan and preprocess again: nnUNetv2_plan_and_preprocess.", error=SettingsError
)


def read_plans(folder: Path, name: str) -> dict[str, Any]:
    """Read the plans of a dataset.

    Args:
        folder: The dataset's folder in ``nnUNet_preprocessed``.
        name: Identifier of the plans, e.g. ``nnUNetPlans``.

    Raises:
        SettingsError: If there are none of that name, the file is no plans file, or it names code of others.
    """
    file = folder / f"{name}.json"
    if not file.is_file():
        found = sorted(path.stem for path in folder.glob("*.json") if _is_plans(path))
        dataset = folder.name[len("Dataset") :][:3].lstrip("0")
        there = f"There are: {', '.join(found)}." if found else f"Plan first: nnUNetv2_plan_and_preprocess -d {dataset}"
        raise SettingsError(f"There are no plans '{name}' in {folder}. {there}")
    plans = PLANS.read(file)
    if not trusted_by_environment():
        require_plain_plans(plans, file)
    return plans


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """dataset.json of a preprocessed data set.

    Raises:
        SettingsError: If it is not there or not what it must be.
    """
    return PREPROCESSED.read(folder / "dataset.json")


def trainable_configurations(plans: dict[str, Any], wanted: Sequence[str] | None = None) -> list[str]:
    """The configurations that our trainers can train.

    Args:
        plans: nnU-Net's.
        wanted: Some of them; None means all that can be trained.

    Raises:
        SettingsError: If one of the wanted does not exist, or is a cascade's second stage.
    """
    usable = [name for name in plans["configurations"] if not _previous_stage(plans, name)]
    for name in wanted or ():
        if name not in plans["configurations"]:
            known = ", ".join(plans["configurations"])
            raise SettingsError(
                f"The plans '{plans['plans_name']}' have no configuration '{name}'. They have: {known}."
            )
        if name not in usable:
            raise SettingsError(
                f"Configuration '{name}' is the second stage of a cascade (after '{_previous_stage(plans, name)}'). "
                "Cascades are not supported: a previous stage's segmentation is no modality that could be missing. "
                f"Choose of: {', '.join(usable)}."
            )
    return list(wanted or usable)


def derived_plans(
    plans: dict[str, Any], name: str, configurations: Sequence[str], change: Callable[[Configuration], None]
) -> dict[str, Any]:
    """A copy of plans under another name, with some configurations changed.

    The preprocessed data is shared, since every configuration keeps its ``data_identifier``.

    Args:
        plans: The plans to start from.
        name: Identifier of the new plans.
        configurations: Which configurations to change.
        change: Changes a configuration in place. What a configuration inherits is written into it first.

    Raises:
        SettingsError: If the name cannot be that of plans.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or "__" in name:
        raise SettingsError(
            f"'{name}' cannot name plans; use letters, digits, '-', '.' and '_', but not '__', at which nnU-Net cuts "
            "the names of model folders."
        )
    new = deepcopy(plans)
    new["plans_name"] = name
    new[ORIGIN] = plans["plans_name"]
    for configuration in configurations:
        resolved = resolved_configuration(plans, configuration)
        change(resolved)
        new["configurations"][configuration] = resolved
    return new


def write_plans(folder: Path, plans: dict[str, Any], overwrite: bool = False) -> Path:
    """Write plans, unless that would replace some that are not ours, or ours with other content.

    Args:
        folder: The dataset's folder in ``nnUNet_preprocessed``.
        plans: From `derived_plans`.
        overwrite: Whether to replace plans of ours that have other content.

    Returns:
        The file.

    Raises:
        SettingsError: If a file of that name must not be replaced.
    """
    file = folder / f"{plans['plans_name']}.json"
    with alone_in(folder, wait=True):
        return _write_plans(file, plans, overwrite)


def _write_plans(file: Path, plans: dict[str, Any], overwrite: bool) -> Path:
    if os.path.lexists(file):
        found = PLANS.read(file) if _is_plans(file) else {}
        if found == plans:
            return file
        if ORIGIN not in found:
            raise SettingsError(f"{file} is there already and was not written by nnunet_hetero. Choose another name.")
        if not overwrite:
            raise SettingsError(
                f"{file} is there already, with other content. Models may be in training with it. Choose another name, "
                "or replace it with --overwrite."
            )
    replace_json(file, plans)
    return file


def _is_plans(file: Path) -> bool:
    try:
        PLANS.read(file)
    except SettingsError:
        return False
    return True


def resolved_configuration(plans: dict[str, Any], name: str) -> Configuration:
    """A copy of a configuration with what it inherits."""
    configuration = checked_configuration(plans, name, f"{plans['plans_name']}.json")
    return {key: value for key, value in configuration.items() if key != "inherits_from"}


def _previous_stage(plans: dict[str, Any], name: str) -> str | None:
    return resolved_configuration(plans, name).get("previous_stage")
