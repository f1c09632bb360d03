"""Widths, patch and batch size for our network: nnU-Net's own planning, with our network's need of memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nnunetv2
import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.widths import (
    AUTO,
    DEFAULT,
    NARROW,
    PAPER,
    PAPER_FEATURES,
    WIDTHS,
    encoder_widths,
    image_decoder_widths,
    scaled_widths,
)
from nnunet_hetero.planning.memory import training_bytes


@dataclass(frozen=True)
class Choice:
    """What was planned for one configuration.

    Args:
        capacity: One of `WIDTHS`.
        changes: Patch size, batch size, architecture and settings, as in nnU-Net's plans.
        gigabytes: Estimate of a training step with nnU-Net's mixed precision on a GPU, by nnU-Net's own measure.
        float32_gigabytes: The same on a CPU, where all is float32.
        target: Gigabytes that were aimed at.
        reason: Why this capacity, for the user.
    """

    capacity: str
    changes: dict[str, Any]
    gigabytes: float
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
) -> Choice:
    """Plan one configuration for our network.

    nnU-Net's planning is run as it is (patch as large as memory allows, then the batch), but for the network, which is
    ours. ``auto`` takes the default widths if nnU-Net's own patch fits into memory with them, else the narrow ones if
    it fits with those, else whichever allows the larger patch.

    Args:
        plans: nnU-Net's. Their planner plans again; one that nnU-Net does not have is replaced by its default.
        configuration: One of theirs, with all that it inherits.
        dataset: Name of the dataset, raw and planned.
        settings: Of ours; widths among them go before those of the capacity.
        capacity: One of `CAPACITIES`.
        gpu_memory_target: In GB; None is the planner's own.

    Raises:
        SettingsError: If the raw dataset or nnU-Net's fingerprint of it is not there.
    """
    if capacity != AUTO:
        return _plan(plans, configuration, dataset, settings, capacity, gpu_memory_target, "as asked for")
    wanted = math.prod(configuration["patch_size"])
    found = {}
    for name, reason in (
        (DEFAULT, "nnU-Net's own patch fits with them"),
        (NARROW, "with the default widths nnU-Net's own patch would not fit"),
    ):
        found[name] = _plan(plans, configuration, dataset, settings, name, gpu_memory_target, reason)
        if math.prod(found[name].changes["patch_size"]) >= wanted:
            return found[name]
    best = max(found.values(), key=lambda choice: math.prod(choice.changes["patch_size"]))
    reason = "nnU-Net's own patch fits with no widths; these allow the largest"
    return Choice(**{**vars(best), "reason": reason})


def describe_choice(name: str, before: Mapping[str, Any], choice: Choice) -> list[str]:
    """What was chosen for a configuration and why, line by line, beside what nnU-Net planned for its own network."""
    after = choice.changes
    features = after["architecture"]["arch_kwargs"]["features_per_stage"]
    config = HeteroModalConfig.from_dict(after[KEY])

    def widths(part: str, found: Sequence[int]) -> str:
        return f"  {part:<21}{'/'.join(map(str, found))} features"

    def size(configuration: Mapping[str, Any]) -> str:
        return "×".join(map(str, configuration["patch_size"]))

    return [
        f"{name}: {choice.capacity} widths; {choice.reason}.",
        f"  {'patch':<21}{size(after)} (nnU-Net: {size(before)})",
        f"  {'batch':<21}{after['batch_size']} (nnU-Net: {before['batch_size']})",
        widths("each encoder", encoder_widths(features, config)),
        widths("latents", scaled_widths(features, config.latent_width)),
        widths("segmentation decoder", features),
        widths("image decoder", image_decoder_widths(features, config)),
        f"  {'memory of a step':<21}about {choice.gigabytes:.2g} GB on a GPU (target {choice.target:g}), "
        f"{choice.float32_gigabytes:.2g} GB in float32 on a CPU",
    ]


def _plan(
    plans: Mapping[str, Any],
    configuration: Mapping[str, Any],
    dataset: str,
    settings: Mapping[str, Any],
    capacity: str,
    gpu_memory_target: float | None,
    reason: str,
) -> Choice:
    settings = {**WIDTHS[capacity], **settings}
    features = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    scale = PAPER_FEATURES if capacity == PAPER else 1
    planner = _planner(plans.get("experiment_planner_used", ""), dataset, settings, gpu_memory_target)
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
    network = planner.build(planned["architecture"])
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
        float32_gigabytes=training_bytes(network, planned["patch_size"], planned["batch_size"]) / 1e9,
        target=float(planner.UNet_vram_target_GB),
        reason=reason,
    )


def _planner(name: str, dataset: str, settings: Mapping[str, Any], gpu_memory_target: float | None):
    """nnU-Net's planner of that name, which estimates the memory of our network instead of its own."""
    folder = str(Path(nnunetv2.__path__[0]) / "experiment_planning")
    base = recursive_find_python_class(folder, name, "nnunetv2.experiment_planning") or ExperimentPlanner

    class HeteroPlanner(base):
        def build(self, architecture: Mapping[str, Any]) -> HeteroModalVAE:
            manager = ConfigurationManager({"architecture": dict(architecture), KEY: dict(settings)})
            channels = self.dataset_json.get("channel_names") or self.dataset_json["modality"]
            with torch.device("meta"):
                return HeteroModalVAE.from_plans(manager, len(channels), len(self.dataset_json["labels"]), True)

        def static_estimate_VRAM_usage(
            self, patch_size, input_channels, output_channels, arch_class_name, arch_kwargs, arch_kwargs_req_import
        ):
            architecture = {
                "network_class_name": arch_class_name,
                "arch_kwargs": arch_kwargs,
                "_kw_requires_import": arch_kwargs_req_import,
            }
            return self.build(architecture).compute_conv_feature_map_size(patch_size)

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
