"""What a user asks of an evaluation, in one piece: it is handed on whole, and says what its results depend on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.version import __version__

if TYPE_CHECKING:
    import torch

Fold = int | str
"""Number of a fold, or ``all``."""

SPLITS = ("val", "test")


@dataclass(frozen=True)
class EvaluationRequest:
    """Which model is evaluated on which cases and subsets, how they are segmented, and what is measured.

    Args:
        model_folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: One, several, or None for all that have the checkpoint.
        checkpoint_name: File name of the checkpoint.
        split: ``val`` for validation cases, or ``test`` for the test cases that ``nnunet_hetero splits`` held out.
        images: Folder of images, instead of a split; needs ``labels`` and ``output``.
        labels: Folder of label maps.
        subsets: E.g. ``["T1+FLAIR", "T1c"]``; None is all 2^M - 1.
        output: Default ``fold_X/evaluation`` in the model folder, or ``evaluation_X_Y`` for several folds.
        device: Default CUDA if there is one, else the CPU.
        mirroring: Test-time augmentation.
        step_size: Of the sliding window, in tiles.
        sampling: Draws of the latents to average; by default none, but the posterior's mean, which is the fastest.
        metrics: What is measured.
        remove_small: Region and number of voxels: predictions of it with fewer are removed before scoring, see
            `nnunet_hetero.evaluation.scores.postprocessing`.
        completion: Whether to complete the modalities outside of each subset too, and compare them with true images.
        save_predictions: Whether to keep the label maps, in ``predictions/SUBSET``.
        trust_checkpoint: Whether to load the model's files whatever they bring along.
        progress: Whether to show a progress bar.

    Raises:
        SettingsError: If parts of it contradict each other.
    """

    model_folder: str | os.PathLike
    folds: Sequence[Fold] | Fold | None = None
    checkpoint_name: str = "checkpoint_final.pth"
    split: str = "val"
    images: str | os.PathLike | None = None
    labels: str | os.PathLike | None = None
    subsets: Sequence[str] | None = None
    output: str | os.PathLike | None = None
    device: str | torch.device | None = None
    mirroring: bool = True
    step_size: float = 0.5
    sampling: SamplingOptions = field(default_factory=lambda: SamplingOptions(num_samples=0))
    metrics: MetricOptions = field(default_factory=MetricOptions)
    remove_small: tuple[str, int] | None = None
    completion: bool = False
    save_predictions: bool = False
    trust_checkpoint: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise SettingsError(f"--split is '{self.split}'; choose from {', '.join(SPLITS)}.")
        if (self.images is None) != (self.labels is None):
            raise SettingsError("-i and -l belong together: the folder of images and the folder of their label maps.")
        if self.images is not None and self.output is None:
            raise SettingsError("With -i, say with -o where the results go.")
        if self.images is not None and self.split == "test":
            raise SettingsError(
                "--split test and -i exclude each other: the test cases of the splits, or a folder. Leave one out."
            )

    @property
    def is_ensemble(self) -> bool:
        """Whether several folds segment each case together; else each segments its own validation cases."""
        return self.images is not None or self.split == "test"

    def groups(self, folds: Sequence[Fold]) -> list[list[Fold]]:
        """The folds that segment cases together.

        Args:
            folds: Those that are evaluated.

        Raises:
            SettingsError: If they cannot be evaluated together.
        """
        if self.is_ensemble:
            return [list(folds)]
        if len(folds) > 1 and "all" in folds:
            raise SettingsError(
                "Fold 'all' has no validation cases of its own; do not evaluate it together with others."
            )
        return [[fold] for fold in folds]

    def output_folder(self, folds: Sequence[Fold]) -> Path:
        """Where the results go.

        Examples:
            >>> EvaluationRequest("MODEL").output_folder([0, 1]).as_posix()
            'MODEL/evaluation_0_1'
        """
        if self.output is not None:
            return Path(self.output)
        name = "_".join(map(str, folds))
        folder = f"fold_{name}/evaluation" if len(folds) == 1 else f"evaluation_{name}"
        return Path(self.model_folder) / (folder + ("_test" if self.split == "test" else ""))

    def settings(self, folds: Sequence[Fold], num_samples: int) -> dict[str, Any]:
        """Content of ``settings.json``: what the results depend on. With other settings they are made anew.

        Args:
            folds: Those that are evaluated.
            num_samples: Draws that the model makes; none, whatever was asked for, if it has no latents.
        """
        checkpoints = {str(fold): Path(self.model_folder) / f"fold_{fold}" / self.checkpoint_name for fold in folds}
        return {
            "version": __version__,
            "checkpoints": {fold: file.stat().st_mtime for fold, file in checkpoints.items()},
            "checkpoint_name": self.checkpoint_name,
            "model": Path(self.model_folder).name,
            "split": self.split if self.images is None else None,
            "images": None if self.images is None else os.path.abspath(self.images),
            "labels": None if self.labels is None else os.path.abspath(self.labels),
            "mirroring": self.mirroring,
            "step_size": self.step_size,
            "num_samples": num_samples,
            "seed": self.sampling.seed,
            "metrics": list(self.metrics.columns),
            "nsd_tolerance": self.metrics.tolerance,
            "lesion_rule": self.metrics.lesion_rule,
            "remove_small": None if self.remove_small is None else list(self.remove_small),
            "completion": self.completion,
        }
