"""Plans for short trainings: another width, patch or batch, and our settings; the preprocessed data is shared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.planning.plans_file import (
    Configuration,
    derived_plans,
    read_plans,
    trainable_configurations,
    write_plans,
)

PLANNED = "nnUNetPlans"


def write_derived_plans(
    folder: Path,
    name: str,
    configuration: str,
    settings: Mapping[str, Any],
    features: Sequence[int] | None = None,
    patch: Sequence[int] | None = None,
    batch: int | None = None,
) -> Configuration:
    """Write ``NAME.json`` beside ``nnUNetPlans.json``; plans of ours that have this name are replaced.

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
        SettingsError: If nnU-Net has not planned the dataset, the plan does not have the configuration, or its network
            cannot take the patch.
    """

    def change(changed: Configuration) -> None:
        network = changed["architecture"]["arch_kwargs"]
        if features is not None:
            levels = len(network["features_per_stage"])
            network["features_per_stage"] = [*features, *[features[-1]] * levels][:levels]
        if patch is not None:
            multiple = [math.prod(step) for step in zip(*network["strides"], strict=True)]
            if len(patch) != len(multiple) or any(size % step for size, step in zip(patch, multiple, strict=True)):
                raise SettingsError(
                    f"The patch is {list(patch)}; the plan's network takes multiples of {multiple} voxels."
                )
            changed["patch_size"] = list(patch)
        if batch is not None:
            changed["batch_size"] = batch
        changed[KEY] = dict(settings)

    planned = read_plans(folder, PLANNED)
    new = derived_plans(planned, name, trainable_configurations(planned, [configuration]), change)
    write_plans(folder, new, overwrite=True)
    return new["configurations"][configuration]
