"""One training with its evaluation: a folder of its own, whose finished parts are not repeated."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from head_to_head.data import CONFIGURATION, DATASET, NAME, preprocessed_folder, refuse_changes
from head_to_head.methods import Method, settled
from head_to_head.precision import FLOAT32
from head_to_head.records import EVALUATED, TRAINING_RECORD
from nnunet_hetero.demo.plans import write_derived_plans
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.io.atomic_files import replace_json

RECORD, EVALUATION, COMPLETION = "run.json", "evaluation", "completion.json"
CHECKPOINT = "checkpoint_final.pth"


@dataclass(frozen=True)
class PlanChanges:
    """What of nnU-Net's plan is changed, for all methods alike; None leaves it as planned.

    Args:
        features: Of every level, finest first.
        patch: Voxels along every axis.
        batch: Samples in a training step.
    """

    features: Sequence[int] | None = None
    patch: Sequence[int] | None = None
    batch: int | None = None


@dataclass(frozen=True)
class TrainingRun:
    """A method, trained once.

    Args:
        out: Folder of the benchmark.
        method: What is trained.
        seed: Of weights, subsets and noise.
        fold: Which cases are held out.
        settings: Those of ours, for the plans.
        changes: Of nnU-Net's plan.
        precision: See `train_in`.
    """

    out: Path
    method: Method
    seed: int
    fold: int
    settings: Mapping[str, Any]
    changes: PlanChanges
    precision: str = FLOAT32

    @property
    def name(self) -> str:
        """For logs and headings."""
        return f"{self.method.name}_seed{self.seed}_fold{self.fold}"

    @property
    def folder(self) -> Path:
        """Where its record and results are."""
        return self.out / "runs" / self.method.name / f"seed_{self.seed}" / f"fold_{self.fold}"

    @property
    def plans(self) -> str:
        """Identifier of the plans, the same for all folds."""
        return f"nnUNetPlans_{self.method.name}_seed{self.seed}"

    @property
    def model(self) -> Path:
        """nnU-Net's model folder."""
        model = f"{self.method.trainer}__{self.plans}__{CONFIGURATION}"
        return self.out / "nnUNet_results" / f"Dataset{DATASET}_{NAME}" / model

    @property
    def record(self) -> dict[str, Any]:
        """What it is: trainer, plan and all settings; empty before `begin`."""
        return TRAINING_RECORD.read_if_there(self.folder / RECORD) or {}

    def begin(self) -> None:
        """Write the plans and what the run is, or see that it is the same as before.

        Raises:
            SettingsError: If the run was begun with other settings, or a setting is impossible.
        """
        configuration = write_derived_plans(
            preprocessed_folder(self.out),
            self.plans,
            CONFIGURATION,
            self.settings,
            self.changes.features,
            self.changes.patch,
            self.changes.batch,
        )
        record = {
            "trainer": self.method.trainer,
            "features": configuration["architecture"]["arch_kwargs"]["features_per_stage"],
            "patch": configuration["patch_size"],
            "batch": configuration["batch_size"],
            **settled(self.method, self.settings),
        }
        if self.precision != FLOAT32:
            record["precision"] = self.precision
        if self.record:
            remedy = "Give the method another name (--variant NAME ...), or name another --out."
            refuse_changes(self.record, record, f"The run in {self.folder}", remedy)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_json(self.folder / RECORD, record)

    @property
    def trained(self) -> bool:
        """Whether the training reached its end."""
        return (self.model / f"fold_{self.fold}" / CHECKPOINT).is_file()

    @property
    def evaluated(self) -> bool:
        """Whether all cases are scored."""
        summary = EVALUATED.read_if_there(self.folder / EVALUATION / "summary.json")
        return bool(summary) and not summary.get("failed")

    @property
    def completed(self) -> bool:
        """Whether its images are scored."""
        return (self.folder / COMPLETION).is_file()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.trained and self.evaluated and self.completed

    def run(self, steps: Steps, device: str, metrics: Sequence[str]) -> None:
        """Train, evaluate all subsets of the held-out cases, and score completed images; whatever is not done yet.

        Args:
            steps: Runs the commands.
            device: ``cpu`` or ``cuda``.
            metrics: Groups of scores, see ``nnunet_hetero evaluate``.

        Raises:
            StepFailed: If one of the commands fails, or a case could not be evaluated.
        """
        if not self.trained:
            training = [sys.executable, "-m", "head_to_head.training", str(DATASET), CONFIGURATION, str(self.fold)]
            training += [self.method.trainer, self.plans, device, self.precision]
            show = r": Epoch \d+\s*$|Pseudo dice by|Continue|ERROR"
            steps.run(f"train_{self.name}", training, show=show)
        if not self.evaluated:
            model = ["-d", str(DATASET), "-c", CONFIGURATION, "-f", str(self.fold), "-tr", self.method.trainer]
            model += ["-p", self.plans, "-device", device]
            how = ["--num_samples", "0", "--disable_tta", "--metrics", *metrics, "--disable_progress_bar"]
            target = ["-o", str(self.folder / EVALUATION)]
            steps.run(f"evaluate_{self.name}", ["nnunet_hetero", "evaluate", *model, *target, *how], show="^error")
        if not self.completed:
            score = [sys.executable, "-m", "head_to_head.completion", str(self.model), str(self.fold)]
            steps.run(f"completion_{self.name}", [*score, str(self.folder / COMPLETION), device])
