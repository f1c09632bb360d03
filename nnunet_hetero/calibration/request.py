"""What a user asks of a calibration, in one piece."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest, Fold
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.reliability.conformal import require_level

if TYPE_CHECKING:
    import torch

FOLDER = "calibration"
"""In the model's folder, beside ``calibration.json``."""

BY_DISAGREEMENT = True
"""Whether widths follow the disagreement, unless the user says otherwise; see ``benchmarks/uncertainty.py``."""


@dataclass(frozen=True)
class CalibrationRequest:
    """Which model is calibrated, and on what.

    Args:
        model_folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: One, several, or None for all that have the checkpoint.
        checkpoint_name: File name of the checkpoint.
        images: Folder of images, instead of each fold's validation cases; needs ``labels``.
        labels: Folder of label maps.
        level: Of the intervals.
        joint: Whether the intervals of all regions are to hold simultaneously.
        by_disagreement: Whether an interval is wider where the model disagrees with itself; no effect for a model
            without latents.
        device: Default CUDA if there is one, else the CPU.
        mirroring: Test-time augmentation, as in prediction.
        step_size: Of the sliding window, in tiles, as in prediction.
        sampling: Draws of the latents, as in prediction.
        trust_checkpoint: Whether to load the model's files whatever they bring along.
        progress: Whether to show a progress bar.

    Raises:
        SettingsError: If the level is not between 0 and 1, there are no draws, or parts contradict each other.
    """

    model_folder: str | os.PathLike
    folds: Sequence[Fold] | Fold | None = None
    checkpoint_name: str = "checkpoint_final.pth"
    images: str | os.PathLike | None = None
    labels: str | os.PathLike | None = None
    level: float = 0.9
    joint: bool = False
    by_disagreement: bool = BY_DISAGREEMENT
    device: str | torch.device | None = None
    mirroring: bool = True
    step_size: float = 0.5
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    trust_checkpoint: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        require_level(self.level)
        if not self.sampling.num_samples:
            raise SettingsError("--num_samples is 0; without draws nothing says how sure the model is. Leave it out.")
        _ = self.sweep  # -i and -l belong together

    @property
    def folder(self) -> Path:
        """Where rows, records and figures go."""
        return Path(self.model_folder) / FOLDER

    @property
    def sweep(self) -> EvaluationRequest:
        """The same as a request to segment these cases from every subset."""
        return EvaluationRequest(
            self.model_folder,
            self.folds,
            self.checkpoint_name,
            images=self.images,
            labels=self.labels,
            output=self.folder,
            device=self.device,
            mirroring=self.mirroring,
            step_size=self.step_size,
            sampling=self.sampling,
            trust_checkpoint=self.trust_checkpoint,
            progress=self.progress,
        )
