"""Weights & Biases by nnU-Net's own logger: a training that goes on is one run, whichever job it goes on in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nnunetv2.training.logging import nnunet_logger
from nnunetv2.training.logging.nnunet_logger import WandbLogger, get_cluster_job_id

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replace_text

RUN_FILE = "wandb_run.txt"
"""In the training's folder: the run's ID."""

PROJECT, MODE = "nnUNet_wandb_project", "nnUNet_wandb_mode"
"""nnU-Net's variables."""

LAST_OF_EPOCH = "epoch_end_timestamps"


class WandbRun(WandbLogger):
    """nnU-Net's logger, but for three things, for which a training that was stopped would not go on in its run.

    nnU-Net reads the run's ID from the folder that W&B wrote last, which ``wandb sync --clean`` removes. It notes the
    number of the job as a setting that may not change, and W&B refuses another one. And W&B takes each epoch once: what
    the begin of an epoch has logged, before the training was stopped in it, would shut out all that its end logs. So an
    epoch is told when it is over. Runs of before stay in the folder when a training begins anew.

    Args:
        output_folder: Of the training.
        resume: Whether it goes on.

    Raises:
        SettingsError: If the package is not there.
    """

    def __init__(self, output_folder: str, resume: bool):
        wandb = nnunet_logger.wandb
        if wandb is None:
            raise SettingsError("nnUNet_wandb_enabled is 1, but wandb is not installed. Install it: pip install wandb.")
        self.output_folder, self.resume = Path(output_folder), resume
        self.project = os.environ.get(PROJECT, "nnunet")
        self.mode = os.environ.get(MODE, "online")
        self.run = wandb.init(
            project=self.project,
            dir=str(output_folder),
            id=self._run_before() if resume else None,
            mode=self.mode,
            resume="allow" if resume else "never",
        )
        replace_text(self.output_folder / RUN_FILE, self.run.id)
        self.run.config.update({"JobID": get_cluster_job_id()}, allow_val_change=True)
        self.wandb_init_step = self.run.step
        self._epoch: dict[str, Any] = {}

    def _run_before(self) -> str | None:
        """ID of the run that this training has begun; None if there is none."""
        file = self.output_folder / RUN_FILE
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
        # By nnU-Net alone: wandb/latest-run/run-ID.wandb
        written = sorted((self.output_folder / "wandb").glob("latest-run/run-*.wandb"))
        return written[-1].stem.removeprefix("run-") if written else None

    def update_config(self, config: dict) -> None:
        """What the training is; a training that goes on may differ in it, as in its number of epochs."""
        self.run.config.update(config, allow_val_change=True)

    def log(self, key: str, value: Any, step: int) -> None:
        """A value of an epoch. All of them are told when its end is logged."""
        self._epoch[key] = value
        if key != LAST_OF_EPOCH:
            return
        told, self._epoch = self._epoch, {}
        if step >= self.wandb_init_step:
            self.run.log(told, step=step)
            self.log_summary("current_epoch", step)
