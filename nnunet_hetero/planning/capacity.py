"""Widths, patch and batch size for a trainer's network: nnU-Net's own planning, with that network's need of memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nnunetv2
import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.widths import (
    AUTO,
    DEFAULT,
    NARROW,
    PAPER,
    PAPER_FEATURES,
    WIDTHS,
)
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER
from nnunet_hetero.training.hetero_trainer import HeteroTrainer
from nnunet_hetero.training.memory import training_bytes
from nnunet_hetero.training.trainers import TRAINERS


@dataclass(frozen=True)
class Choice:
    """What was planned for one configuration.

    Args:
        capacity: One of `WIDTHS`.
        changes: Patch size, batch size, architecture and settings, as in nnU-Net's plans.
        gigabytes: Estimate of a training step with nnU-Net's mixed precision on a GPU, by nnU-Net's own measure, which
            includes what the GPU takes beside tensors.
        tensor_gigabytes: The most that the step's tensors hold at once, which torch reports as allocated.
        float32_gigabytes: The same on a CPU, where all is float32.
        target: Gigabytes that were aimed at.
        reason: Why this capacity, for the user.
    """

    capacity: str
    changes: dict[str, Any]
    gigabytes: float
    tensor_gigabytes: float
    float32_gigabytes: float
    target: float
    reason: str


def plan_capacity(
    plans: Mapping[str, Any],
    configuration: Mapping[str, Any],
    dataset: str,
    settings: Mapping[str, Any],
    capacity: str = AUTO,
    gpu_memory_target: float | None = None,
    trainer: str = DEFAULT_TRAINER,
) -> Choice:
    """Plan one configuration for a trainer's network.

    nnU-Net's planning is run as it is (patch as large as memory allows, then the batch), but for the network, which is
    the trainer's. ``auto`` takes the default widths if nnU-Net's own patch fits into memory with them, else the narrow
    ones if it fits with those, else whichever allows the larger patch.

    Args:
        plans: nnU-Net's. Their planner plans again; one that nnU-Net does not have is replaced by its default.
        configuration: One of theirs, with all that it inherits.
        dataset: Name of the dataset, raw and planned.
        settings: Of ours; widths among them go before those of the capacity.
        capacity: One of `CAPACITIES`.
        gpu_memory_target: In GB; None is the planner's own.
        trainer: Name of the trainer.

    Raises:
        SettingsError: If the raw dataset or nnU-Net's fingerprint of it is not there, there is no such trainer, or its
            network does not say how much memory it needs.
    """
    plan = partial(_plan, TRAINERS.get(trainer), plans, configuration, dataset, settings, gpu_memory_target)
    if capacity != AUTO:
        return plan(capacity, "as asked for")
    wanted = math.prod(configuration["patch_size"])
    found = {}
    for name, reason in (
        (DEFAULT, "nnU-Net's own patch fits with them"),
        (NARROW, "with the default widths nnU-Net's own patch would not fit"),
    ):
        found[name] = plan(name, reason)
        if math.prod(found[name].changes["patch_size"]) >= wanted:
            return found[name]
    best = max(found.values(), key=lambda choice: math.prod(choice.changes["patch_size"]))
    reason = "nnU-Net's own patch fits with no widths; these allow the largest"
    return Choice(**{**vars(best), "reason": reason})


def describe_choice(name: str, before: Mapping[str, Any], choice: Choice, trainer: str = DEFAULT_TRAINER) -> list[str]:
    """What was chosen for a configuration and why, line by line, beside what nnU-Net planned for its own network.

    Args:
        name: Of the configuration.
        before: nnU-Net's.
        choice: For it.
        trainer: Whose network it is for.
    """
    after = choice.changes
    features = after["architecture"]["arch_kwargs"]["features_per_stage"]
    trainer_class = TRAINERS.get(trainer)
    config = HeteroModalConfig.from_dict({**trainer_class.default_settings(), **after[KEY]})
    widths = [
        f"  {part:<21}{'/'.join(map(str, found))} features"
        for part, found in trainer_class.network_class.described_widths(features, config).items()
    ]

    def size(configuration: Mapping[str, Any]) -> str:
        return "×".join(map(str, configuration["patch_size"]))

    return [
        f"{name}: {choice.capacity} widths; {choice.reason}.",
        f"  {'patch':<21}{size(after)} (nnU-Net: {size(before)})",
        f"  {'batch':<21}{after['batch_size']} (nnU-Net: {before['batch_size']})",
        *widths,
        f"  {'memory of a step':<21}about {choice.gigabytes:.2g} GB on a GPU (target {choice.target:g}), "
        f"{choice.tensor_gigabytes:.2g} GB of them tensors; {choice.float32_gigabytes:.2g} GB in float32 on a CPU",
    ]


def _plan(
    trainer: type[HeteroTrainer],
    plans: Mapping[str, Any],
    configuration: Mapping[str, Any],
    dataset: str,
    settings: Mapping[str, Any],
    gpu_memory_target: float | None,
    capacity: str,
    reason: str,
) -> Choice:
    settings = {**WIDTHS[capacity], **settings}
    features = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    scale = PAPER_FEATURES if capacity == PAPER else 1
    planner = _planner(trainer, plans, dataset, settings, gpu_memory_target)
    planner.UNet_base_num_features = max(1, round(features[0] * scale))
    planner.UNet_max_features_2d = planner.UNet_max_features_3d = max(1, round(max(features) * scale))
    shape = configuration["median_image_size_in_voxels"]
    # nnU-Net lets a batch cover 5 % of the dataset at most; slices are counted by whole images.
    whole = plans["configurations"].get("3d_fullres", {}).get("median_image_size_in_voxels")
    image = shape if len(shape) == 3 else whole or plans["original_median_shape_after_transp"]
    voxels = math.prod(image) * planner.dataset_json["numTraining"]
    planned = planner.get_plans_for_configuration(
        configuration["spacing"], shape, configuration["data_identifier"], float(voxels), {}
    )
    network = planner.build(planned["architecture"], planned["patch_size"])
    optimizer = HeteroModalConfig.from_dict({**trainer.default_settings(), **settings}).optimizer
    step = network, planned["patch_size"], planned["batch_size"], optimizer
    elements = network.compute_conv_feature_map_size(planned["patch_size"]) * planned["batch_size"]
    flat = len(configuration["spacing"]) == 2
    reference = planner.UNet_reference_val_2d if flat else planner.UNet_reference_val_3d
    batch = planner.UNet_reference_val_corresp_bs_2d if flat else planner.UNet_reference_val_corresp_bs_3d
    return Choice(
        capacity=capacity,
        changes={
            "patch_size": [int(size) for size in planned["patch_size"]],
            "batch_size": int(planned["batch_size"]),
            "architecture": _plain(planned["architecture"]),
            KEY: settings,
        },
        gigabytes=float(elements / (reference * batch) * planner.UNet_reference_val_corresp_GB),
        tensor_gigabytes=training_bytes(*step, autocast=True) / 1e9,
        float32_gigabytes=training_bytes(*step) / 1e9,
        target=float(planner.UNet_vram_target_GB),
        reason=reason,
    )


def _planner(
    trainer: type[HeteroTrainer],
    plans: Mapping[str, Any],
    dataset: str,
    settings: Mapping[str, Any],
    gpu_memory_target: float | None,
) -> Any:
    """The plans' planner, nnU-Net's, which estimates the memory of the trainer's network instead of its own."""
    folder, name = str(Path(nnunetv2.__path__[0]) / "experiment_planning"), plans.get("experiment_planner_used", "")
    base: Any = recursive_find_python_class(folder, name, "nnunetv2.experiment_planning") or ExperimentPlanner

    class HeteroPlanner(base):
        def build(self, architecture: Mapping[str, Any], patch_size: Sequence[int]) -> HeteroNetwork:
            own = {**trainer.default_settings(), **settings}
            manager = ConfigurationManager(
                {"architecture": dict(architecture), "patch_size": list(patch_size), KEY: own}
            )
            channels = self.dataset_json.get("channel_names") or self.dataset_json["modality"]
            outputs = len(self.dataset_json["labels"])
            with torch.device("meta"):
                return trainer.build_network_architecture(
                    PlansManager(dict(plans)), manager, len(channels), outputs, trainer.deeply_supervised
                )

        def static_estimate_VRAM_usage(
            self,
            patch_size: Sequence[int],
            input_channels: int,
            output_channels: int,
            arch_class_name: str,
            arch_kwargs: Mapping[str, Any],
            arch_kwargs_req_import: Sequence[str],
        ) -> Any:
            architecture = {
                "network_class_name": arch_class_name,
                "arch_kwargs": arch_kwargs,
                "_kw_requires_import": arch_kwargs_req_import,
            }
            return self.build(architecture, patch_size).compute_conv_feature_map_size(patch_size)

    target = {} if gpu_memory_target is None else {"gpu_memory_target_in_gb": gpu_memory_target}
    try:
        return HeteroPlanner(dataset, **target)
    except (RuntimeError, FileNotFoundError) as error:
        raise SettingsError(
            f"Patch and batch are planned from the raw dataset and nnU-Net's fingerprint of {dataset}: {error}. Run "
            "nnUNetv2_plan_and_preprocess first, with nnUNet_raw as it was then."
        ) from error


def _plain(value: Any) -> Any:
    """What nnU-Net plans, for JSON: lists for tuples and arrays, numbers of Python."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.item() if hasattr(value, "item") else value
