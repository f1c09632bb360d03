"""Settles a training's settings in the plans: the user's, else the trainer's, else those of `HeteroModalConfig`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.config import KEY, PLAN, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities


def settle(
    plans: dict, configuration: str, defaults: Mapping[str, Any], modalities: Modalities, any_patch_size: bool = False
) -> HeteroModalConfig:
    """Write all settings of a training into its plans, so that a default that changes later does not change the model.

    Patch and batch size go where nnU-Net reads its own, and a subset becomes the numbers of its channels.

    Args:
        plans: nnU-Net's plans; changed in place.
        configuration: Which of their configurations is trained.
        defaults: The trainer's, for settings that the plans do not have.
        modalities: Those of the dataset.
        any_patch_size: Whether the network takes patches that the plan's strides do not divide.

    Raises:
        SettingsError: If a setting is unknown or impossible.
    """
    planned = PlansManager(plans).get_configuration(configuration).configuration
    given = planned.get(KEY) or {}
    config = HeteroModalConfig.from_dict({**defaults, **given} if isinstance(given, Mapping) else given)
    entry = plans["configurations"][configuration]
    if config.subset is not None:
        names = [config.subset] if isinstance(config.subset, str) else config.subset
        config = dataclasses.replace(config, subset=list(modalities.parse(names, f"{KEY}.subset")))
    if config.batch_size != PLAN:
        entry["batch_size"] = int(config.batch_size)
    if not isinstance(config.patch_size, str):
        entry["patch_size"] = _patch_size(config.patch_size, planned, any_patch_size)
    if not any_patch_size:
        _require_levels_of_voxels(entry.get("patch_size", planned["patch_size"]), planned)
    entry[KEY] = dataclasses.asdict(config)
    return config


def require_subset(trainer: str, one_subset: bool, config: HeteroModalConfig) -> None:
    """Refuse a trainer for one subset without it, and any other trainer with one.

    Raises:
        SettingsError: If so.
    """
    if one_subset and config.subset is None:
        raise SettingsError(
            f"{trainer} trains on one subset of the modalities, and the plans do not say which ({KEY}.subset). Write "
            "plans for every subset with 'nnunet_hetero plan-subsets -d DATASET', and choose one with -p."
        )
    if config.subset is not None and not one_subset:
        raise SettingsError(
            f"The plans are for one subset of the modalities ({KEY}.subset is {config.subset}), but {trainer} draws "
            "subsets of all of them. Choose other plans with -p, or -tr SubsetTrainer."
        )


def _require_levels_of_voxels(sizes: Sequence[int], planned: Mapping[str, Any]) -> None:
    """Refuse a patch whose deepest level has one voxel: instance norm makes zeros of it, and raises on a GPU."""
    strides = planned["architecture"]["arch_kwargs"]["strides"]
    steps = map(math.prod, zip(*strides, strict=True))
    deepest = [math.ceil(size / step) for size, step in zip(sizes, steps, strict=True)]
    if math.prod(deepest) <= 1:
        raise SettingsError(
            f"The patch of {list(sizes)} voxels has a single voxel at the deepest of the plan's {len(strides)} levels, "
            f"which instance norm cannot normalise. Set a larger {KEY}.patch_size, or plan fewer levels."
        )


def _patch_size(setting: int | list[int], planned: dict, any_size: bool) -> list[int]:
    dimension = len(planned["patch_size"])
    sizes = [setting] * dimension if isinstance(setting, int) else list(setting)
    if len(sizes) != dimension:
        raise SettingsError(f"{KEY}.patch_size is {setting}; this configuration has {dimension} axes.")
    if not any_size:
        strides = planned["architecture"]["arch_kwargs"]["strides"]
        steps = [math.prod(of_axis) for of_axis in zip(*strides, strict=True)][:dimension]
        if any(size % step for size, step in zip(sizes, steps, strict=True)):
            raise SettingsError(
                f"{KEY}.patch_size is {sizes}; the plan's network halves it so often that it must be a multiple of "
                f"{steps}."
            )
    return sizes
