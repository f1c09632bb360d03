"""Plans for one network per subset of the modalities: the same plans, each with its subset in the settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnunet_hetero.config import KEY
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.planning.plans_file import Configuration, derived_plans


def subset_plans(
    plans: dict[str, Any], modalities: Modalities, subset: Subset, configurations: Sequence[str]
) -> dict[str, Any]:
    """Plans for `SubsetTrainer` on one subset; they share the preprocessed data of the plans that they come from.

    Args:
        plans: nnU-Net's.
        modalities: The dataset's.
        subset: Which modalities.
        configurations: Which of the plans' configurations get the subset.
    """

    def change(configuration: Configuration) -> None:
        names = [modalities.names[channel] for channel in subset]
        configuration[KEY] = {**(configuration.get(KEY) or {}), "subset": names}

    name = f"{plans['plans_name']}_{subset_name(modalities, subset)}"
    return derived_plans(plans, name, configurations, change)


def subset_name(modalities: Modalities, subset: Subset) -> str:
    """A subset's name for files, e.g. ``T1_T1c``: letters, digits, dots and minus signs, apart for every subset."""
    safe = [re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") for name in modalities.names]
    lowered = [name.lower() for name in safe]
    unique = [
        name if name and lowered.count(name.lower()) == 1 else f"{name}-{channel}".strip("-")
        for channel, name in enumerate(safe)
    ]
    return "_".join(unique[channel] for channel in subset)
