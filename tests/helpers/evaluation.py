"""Evaluation of the tiny model from Python, as the command does it."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.tiny_model import TinyModel, write_case
from nnunet_hetero.evaluation.model import EvaluationResult, evaluate_model

REGIONS = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}


def labelled_folders(root: Path) -> dict[str, Path]:
    """A folder of images and one of labels, with one case ``a``, and where results go."""
    write_case(root / "images", "a", seed=3, labels=root / "labels")
    return {"images": root / "images", "labels": root / "labels", "output": root / "out"}


def evaluate(model: TinyModel, folds=0, **arguments) -> EvaluationResult:
    """`evaluate_model` on the CPU, without mirroring."""
    arguments = {"device": torch.device("cpu"), "mirroring": False, "progress": False, **arguments}
    return evaluate_model(model.folder, folds, **arguments)
