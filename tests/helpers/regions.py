"""What the tiny model segments, and probabilities of it."""

from __future__ import annotations

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from helpers.tiny_model import tiny_dataset_json, tiny_plans
from nnunet_hetero.nnunet.regions import RegionDecoder

LABELS = {"background": 0, "edema": 1, "core": 2}


def regions(labels=None) -> RegionDecoder:
    """Nested regions, or labels that exclude each other."""
    dataset_json = tiny_dataset_json()
    if labels:
        dataset_json["labels"] = labels
        del dataset_json["regions_class_order"]
    return RegionDecoder(PlansManager(tiny_plans()).get_label_manager(dataset_json))


def random_probabilities(draws: int, heads: int, seed: int = 0, softmax: bool = False) -> torch.Tensor:
    """``(draws, heads, 6, 7, 8)``."""
    logits = 3 * torch.randn(draws, heads, 6, 7, 8, generator=torch.Generator().manual_seed(seed))
    return logits.softmax(1) if softmax else logits.sigmoid()
