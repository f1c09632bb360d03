"""Segmentations of nnU-Net's validation after training, each written as a whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnunetv2.inference.export_prediction import export_prediction_from_logits
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet

from nnunet_hetero.io.unfinished import Unfinished


def export_whole(
    prediction: Any,
    properties: dict,
    configuration_manager: Any,
    plans_manager: Any,
    dataset_json: dict,
    output_file_truncated: str,
    save_probabilities: bool = False,
    **keywords: Any,
) -> None:
    """What nnU-Net's function of the same arguments writes; the segmentation appears when all else is there."""
    target = Path(output_file_truncated)
    unfinished = Unfinished(target)
    try:
        export_prediction_from_logits(
            prediction,
            properties,
            configuration_manager,
            plans_manager,
            dataset_json,
            str(unfinished.folder / target.name),
            save_probabilities,
            **keywords,
        )
        unfinished.publish(target.name + dataset_json["file_ending"])
    finally:
        unfinished.drop()


@contextlib.contextmanager
def whole_exports() -> Iterator[None]:
    """Let nnU-Net's trainer, in its validation meanwhile, write every case as a whole."""
    original = nnunet.export_prediction_from_logits
    nnunet.export_prediction_from_logits = export_whole
    try:
        yield
    finally:
        nnunet.export_prediction_from_logits = original
