"""What ``nnunet_hetero plan`` does: from plans and the wishes of a user to new plans and a description of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunet_hetero.config import COHORT, KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import trusted_by_environment
from nnunet_hetero.io.pickles import require_plain_pickle
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.network.widths import WIDTHS
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER
from nnunet_hetero.nnunet.folders import dataset_folders
from nnunet_hetero.planning.capacity import Choice, describe_choice, plan_capacity
from nnunet_hetero.planning.plans_file import (
    derived_plans,
    read_dataset_json,
    read_plans,
    resolved_configuration,
    trainable_configurations,
    write_plans,
)
from nnunet_hetero.planning.settings import (
    assigned_settings,
    checked_settings,
    draw_settings,
    draw_table,
    settings_of,
)
from nnunet_hetero.subset_sampling import SubsetSampler, read_draw
from nnunet_hetero.training.data.training_cases import Cohort
from nnunet_hetero.training.settings import settle
from nnunet_hetero.training.trainers import TRAINERS


@dataclass(frozen=True)
class DerivedPlans:
    """What was written.

    Args:
        file: The plans.
        configurations: Those that were changed.
        description: What was changed, for the user.
    """

    file: Path
    configurations: list[str]
    description: str


def derive_settings(
    dataset: str,
    source: str,
    name: str,
    configurations: Sequence[str] | None = None,
    alpha: str | None = None,
    presence: Sequence[str] | None = None,
    assignments: Sequence[str] = (),
    capacity: str | None = None,
    gpu_memory_target: float | None = None,
    overwrite: bool = False,
    trainer: str = DEFAULT_TRAINER,
) -> DerivedPlans:
    """Write plans with other settings, or with widths, patch and batch for our network.

    Args:
        dataset: Name or ID.
        source: Plans to start from.
        name: Name of the new plans.
        configurations: Which to change; None means all but cascades.
        alpha: ``paper``, ``cohort`` or a CSV file.
        presence: ``MODALITY=PROBABILITY`` for each modality.
        assignments: ``KEY=VALUE`` of other settings.
        capacity: One of `CAPACITIES`; None keeps widths, patch and batch of the source.
        gpu_memory_target: With a capacity, what a training step may take, in GB; None is that of nnU-Net's planner.
        overwrite: Whether to replace plans of ours that have this name.
        trainer: Whose network is planned for.

    Raises:
        SettingsError: If the dataset, the plans or a setting is not what it must be, or a training with the new plans
            would be refused for them.
    """
    _, folder = dataset_folders(dataset)
    plans = read_plans(folder, source)
    if name == source:
        raise SettingsError(f"--out_plans is '{name}', which are the plans to start from. Choose another name.")
    modalities = Modalities.from_dataset_json(read_dataset_json(folder))
    chosen = trainable_configurations(plans, configurations)
    changes = {**assigned_settings(assignments), **draw_settings(alpha, presence, modalities)}

    choices: list[Choice] = []

    def change(configuration: dict[str, Any]) -> None:
        settings = checked_settings(settings_of(configuration), changes, modalities)
        if capacity is not None:
            widths = set().union(*WIDTHS.values()) - set(changes)
            settings = {key: value for key, value in settings.items() if key not in widths}
            choice = plan_capacity(plans, configuration, folder.name, settings, capacity, gpu_memory_target, trainer)
            choices.append(choice)
            configuration |= choice.changes
        else:
            configuration[KEY] = settings

    new = derived_plans(plans, name, chosen, change)
    kind = TRAINERS.get(trainer)
    for configuration in chosen:
        settle(deepcopy(new), configuration, kind.default_settings(), modalities, kind.any_patch_size)
    lines = [f"{name}, from {source}: {', '.join(chosen)}"]
    for configuration, choice in zip(chosen, choices, strict=False):
        lines += ["", *describe_choice(configuration, resolved_configuration(plans, configuration), choice, trainer)]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in changes.items()]
    if capacity is not None and not changes:
        return DerivedPlans(write_plans(folder, new, overwrite), chosen, "\n".join(lines))
    # The draw is the same in all of them, unless the source had set it apart.
    draws: dict[str, list[str]] = {}
    for configuration in chosen:
        entry = new["configurations"][configuration]
        draws.setdefault(_describe_draw(folder, entry, modalities), []).append(configuration)
    for text, names in draws.items():
        lines += ["", f"Draw in training of a case with all modalities ({', '.join(names)}):", text]
    return DerivedPlans(write_plans(folder, new, overwrite), chosen, "\n".join(lines))


def _describe_draw(folder: Path, configuration: dict[str, Any], modalities: Modalities) -> str:
    config = HeteroModalConfig.from_dict(settings_of(configuration))
    counts = None
    if config.alpha == COHORT:
        counts = _cohort_counts(folder / configuration["data_identifier"], modalities)
        if counts is None:
            return "  The frequencies of the training cases; they are known after nnUNetv2_preprocess."
    probabilities = SubsetSampler(modalities, read_draw(config, modalities, counts)).probabilities()
    return draw_table(probabilities, modalities)


def _cohort_counts(preprocessed: Path, modalities: Modalities) -> Counter[Subset] | None:
    """How many preprocessed cases have exactly each subset; None if nothing is preprocessed."""
    if not preprocessed.is_dir():
        return None
    dataset = infer_dataset_class(str(preprocessed))(str(preprocessed))
    for case in dataset.identifiers:
        require_plain_pickle(preprocessed / f"{case}.pkl", trusted_by_environment())
    return Cohort.read(modalities, dataset).subset_counts()
