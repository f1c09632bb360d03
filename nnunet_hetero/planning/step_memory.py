"""What a training step of given plans will take, before anything is trained."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER
from nnunet_hetero.planning.plans_file import read_dataset_json, read_plans, trainable_configurations
from nnunet_hetero.training.memory import training_bytes
from nnunet_hetero.training.settings import settle
from nnunet_hetero.training.trainers import TRAINERS


class StepMemory(NamedTuple):
    """Of one configuration, see `training_bytes`.

    Attributes:
        configuration: Its name.
        patch: Voxels along every axis.
        batch: Samples.
        mixed: Peak bytes of the tensors with mixed precision, as on a GPU.
        single: The same in float32, as on a CPU.
    """

    configuration: str
    patch: tuple[int, ...]
    batch: int
    mixed: int
    single: int


def step_memory(folder: Path, name: str, trainer: str = DEFAULT_TRAINER) -> list[StepMemory]:
    """What each configuration of some plans takes per step.

    Args:
        folder: The dataset's folder in ``nnUNet_preprocessed``.
        name: Identifier of the plans.
        trainer: Whose network.

    Raises:
        SettingsError: If there are no such plans, or the trainer's network cannot be built for them or does not say
            what it takes.
    """
    plans, dataset_json = read_plans(folder, name), read_dataset_json(folder)
    kind, modalities = TRAINERS.get(trainer), Modalities.from_dataset_json(dataset_json)
    found = []
    for configuration in trainable_configurations(plans):
        settled = deepcopy(plans)
        settings = settle(settled, configuration, kind.default_settings(), modalities, kind.any_patch_size)
        plans_manager = PlansManager(settled)
        manager = plans_manager.get_configuration(configuration)
        outputs = plans_manager.get_label_manager(dataset_json).num_segmentation_heads
        with torch.device("meta"):
            network = kind.build_network_architecture(
                plans_manager, manager, len(modalities), outputs, kind.deeply_supervised
            )
        step = network, manager.patch_size, manager.batch_size, settings.optimizer
        mixed, single = (training_bytes(*step, autocast=autocast) for autocast in (True, False))
        patch = tuple(int(size) for size in manager.patch_size)
        found.append(StepMemory(configuration, patch, int(manager.batch_size), mixed, single))
    return found
