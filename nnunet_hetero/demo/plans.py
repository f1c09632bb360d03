"""Plans derived from nnU-Net's: another width, patch or batch, and our settings; the preprocessed data is shared."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.files import replace_json

PLANNED = "nnUNetPlans"


def read_plans(folder: Path, name: str = PLANNED) -> dict[str, Any]:
    """Content of a plans file.

    Args:
        folder: The dataset's folder in ``nnUNet_preprocessed``.
        name: Identifier of the plans.

    Raises:
        DataError: If the file is not there.
    """
    file = folder / f"{name}.json"
    if not file.is_file():
        raise DataError(f"{file} is not there. Plan the dataset with nnUNetv2_plan_and_preprocess first.")
    return json.loads(file.read_text(encoding="utf-8"))


def write_derived_plans(
    folder: Path,
    name: str,
    configuration: str,
    settings: Mapping[str, Any],
    features: Sequence[int] | None = None,
    patch: Sequence[int] | None = None,
    batch: int | None = None,
) -> dict[str, Any]:
    """Write ``NAME.json`` beside ``nnUNetPlans.json``.

    Args:
        folder: The dataset's folder in ``nnUNet_preprocessed``.
        name: Identifier of the new plans.
        configuration: Which one is changed, e.g. ``3d_fullres``.
        settings: Those of ours, see `nnunet_hetero.config`.
        features: Of every level, finest first; deeper levels take the last. Default: as planned.
        patch: Size in voxels along every axis. Default: as planned.
        batch: Samples in a training step. Default: as planned.

    Returns:
        The changed configuration.

    Raises:
        DataError: If nnU-Net has not planned the dataset.
        SettingsError: If the plan does not have the configuration, or its network cannot take the patch.
    """
    plans = read_plans(folder)
    if configuration not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise SettingsError(f"The plans in {folder} have no configuration '{configuration}'; they have {known}.")
    plans["plans_name"] = name
    changed = plans["configurations"][configuration]
    network = changed["architecture"]["arch_kwargs"]
    if features is not None:
        levels = len(network["features_per_stage"])
        network["features_per_stage"] = [*features, *[features[-1]] * levels][:levels]
    if patch is not None:
        multiple = [math.prod(step) for step in zip(*network["strides"], strict=True)]
        if len(patch) != len(multiple) or any(size % step for size, step in zip(patch, multiple, strict=True)):
            raise SettingsError(f"The patch is {list(patch)}; the plan's network takes multiples of {multiple} voxels.")
        changed["patch_size"] = list(patch)
    if batch is not None:
        changed["batch_size"] = batch
    changed[KEY] = dict(settings)
    replace_json(folder / f"{name}.json", plans)
    return changed
