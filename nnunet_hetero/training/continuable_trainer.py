"""nnU-Net's trainer, which stops between two steps when it is asked to, and goes on there as if nothing had been."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import alone_in
from nnunet_hetero.io.checkpoints import load_checkpoint, trusted_by_environment
from nnunet_hetero.nnunet.exports import whole_exports
from nnunet_hetero.nnunet.loaders import stop_loaders
from nnunet_hetero.nnunet.ranks import Ranks, logged_by_first
from nnunet_hetero.training.checkpoints import best_score_of_epoch, require_continuable, save_with
from nnunet_hetero.training.distributed.group import device_of_rank, refuse_strangers, share_cores
from nnunet_hetero.training.interruption.epoch_progress import EpochProgress, StopHereError, run_epochs
from nnunet_hetero.training.interruption.stop_signals import StoppedError, StopSignals
from nnunet_hetero.training.interruption.validation_progress import ValidationProgress
from nnunet_hetero.training.optimization.schedule import PlateauReachedError, require_progress
from nnunet_hetero.training.random_streams import random_state, seed_everything, set_random_state
from nnunet_hetero.training.record.wandb_run import WandbRun


class ContinuableTrainer(nnUNetTrainer):
    """Stops and goes on; a trainer built on this adds its own state to the checkpoints.

    A checkpoint holds the random streams of every rank and what the steps of the running epoch have given, so that a
    continued training takes the steps that an undisturbed one would have taken. With augmentation in the training's own
    process (``nnUNet_n_proc_DA=0``) on a CPU, they are the same bit for bit.

    Attributes:
        ranks: All processes of the training.
        seed: Of the training, the same for all ranks.
        stop: Whether it was asked to stop.
        progress: How far the running epoch is.
    """

    seed: int
    patience: int | None = None
    """Epochs without a better moving average of the pseudo Dice after which the training ends; None for never."""

    optimizer_name: str
    _best_ema: float | None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net compares signatures by name
    ):
        refuse_strangers()
        self.stop = StopSignals.of_environment()
        self.ranks = Ranks.of_this_process()
        with logged_by_first(self.ranks, WandbRun):
            super().__init__(plans, configuration, fold, dataset_json, device)
        if self.is_ddp:
            self._take_part(device)
        self.progress = EpochProgress()
        self._resumed_random_state: dict | None = None
        self._predicted_before: set[str] = set()  # of the validation after training

    def _take_part(self, device: torch.device) -> None:
        """Correct what nnU-Net takes for granted where several processes train: that they are on GPUs of one node."""
        self.device = device_of_rank(device, self.ranks)
        if self.device.type != "cuda":
            self.grad_scaler = None
            share_cores(self.ranks)
        batch = self.configuration_manager.batch_size
        if batch < self.ranks.count:
            raise SettingsError(
                f"A batch has {batch} sample(s), and {self.ranks.count} processes are to share them. Start at most "
                f"{batch}, or plan a larger batch (batch_size of {self.configuration_name} in the plans)."
            )

    def run_training(self) -> None:
        """nnU-Net's training; it ends before the last epoch on a plateau, or where it is asked to stop.

        Raises:
            SettingsError: If another training is at work in the same folder.
            StoppedError: If it was asked to stop. There is a checkpoint then that continues here.
        """
        # All files are the first one's.
        alone = alone_in(self.output_folder) if self.ranks.is_first else contextlib.nullcontext()
        with alone, self.stop.heard():
            try:
                with self._nothing_to_lose():
                    if self.ranks.count > 1:
                        self.ranks.first_before_others(self.do_split)  # which writes the split if there is none
                    self.on_train_start()
                    self.begin_random_streams()
                run_epochs(self, self.progress, self.stop, self.ranks)
            except PlateauReachedError as plateau:
                self.print_to_log_file(str(plateau))
            except StopHereError:
                self.stop_here()
            self.on_train_end()

    @contextlib.contextmanager
    def _nothing_to_lose(self) -> Iterator[None]:
        """Before the first step, which may take minutes; several processes stop together, at a step."""
        if self.ranks.count > 1:
            yield
            return
        try:
            with self.stop.at_once():
                yield
        except StoppedError:
            self.print_to_log_file(
                f"Stopped by {self.stop.reason} before the first step. The same command begins here."
            )
            raise

    def begin_random_streams(self) -> None:
        """Start the random streams of the steps from the seed, or continue them where the checkpoint left them."""
        if self._resumed_random_state is not None:
            set_random_state(self._resumed_random_state)
            self._resumed_random_state = None
            return
        self.print_to_log_file(f"Seed of weights, subsets and noise: {self.seed}{self.describe_seed()}.")
        seed_everything(self.seed + self.ranks.number)

    def describe_seed(self) -> str:
        """Where the seed is from, for the log."""
        return ""

    def on_epoch_start(self) -> None:
        """Begin an epoch, or go on with it; its time is without the interruption.

        Raises:
            PlateauReachedError: If there is to be none, see `patience`.
        """
        require_progress(self.logger.get_value("ema_fg_dice", step=None), self.patience)
        super().on_epoch_start()
        self.logger.get_value("epoch_start_timestamps", step=None)[-1] -= self.progress.seconds

    def stop_here(self) -> None:
        """Write a checkpoint in the middle of an epoch, end the loaders and leave.

        Raises:
            StoppedError: Always.
        """
        done = f"{len(self.progress.training)} of {self.num_iterations_per_epoch} training steps"
        if self.progress.validation:
            done += f" and {len(self.progress.validation)} of {self.num_val_iterations_per_epoch} validation steps"
        self.current_epoch -= 1  # nnU-Net saves when an epoch is over, and adds one
        self.save_checkpoint(os.path.join(self.output_folder, "checkpoint_latest.pth"))
        self.current_epoch += 1
        self.ranks.gather([None])  # who ends first has the others ended
        stop_loaders(self.dataloader_train, self.dataloader_val)
        self.print_to_log_file(
            f"Stopped by {self.stop.reason or 'another rank'} in epoch {self.current_epoch}, after {done}. "
            + ("No checkpoint is written." if self.disable_checkpointing else "It goes on from there with --c.")
        )
        raise StoppedError

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's; the validation after training leaves out what it has predicted before it was interrupted."""
        training, validation = super().do_split()
        return training, [case for case in validation if case not in self._predicted_before]

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's validation after training, which goes on where it was interrupted.

        Raises:
            StoppedError: If it was asked to stop. The cases that are predicted stay.
        """
        self.stop.leave_if_asked()
        endings = [".npz", ".pkl"] if save_probabilities else []
        with self.stop.heard(), self.stop.at_once(), whole_exports():
            network: Any = self.network
            progress = ValidationProgress(
                os.path.join(self.output_folder, "validation"),
                network.module if self.is_ddp else network,
                [*endings, self.dataset_json["file_ending"]],
            )
            done = progress.begin(self.do_split()[1]) if self.ranks.is_first else set()
            self._predicted_before = set(self.ranks.gather(sorted(done)))
            if self._predicted_before:
                self.print_to_log_file(f"{len(self._predicted_before)} case(s) were predicted before the interruption.")
            try:
                super().perform_actual_validation(save_probabilities)
            finally:
                self._predicted_before = set()
            if self.ranks.is_first:
                progress.end()

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint with our state under ``hetero_modal``; the file is whole or not there."""
        streams = self.ranks.gather([self.stream_to_save()])
        if not self.ranks.is_first or self.disable_checkpointing:
            return super().save_checkpoint(filename)
        save_with({"streams": streams, **self.state_to_save()}, super().save_checkpoint, filename)

    def stream_to_save(self) -> dict[str, Any]:
        """What a checkpoint keeps of every rank: its random streams, and its part of an unfinished epoch."""
        epoch = {"epoch": self.progress.state_dict()} if self.progress.is_unfinished else {}
        return {**random_state(), **epoch}

    def load_stream(self, stream: dict[str, Any], same_ranks: bool) -> None:
        """Take up what `stream_to_save` gave.

        Args:
            stream: Of this rank; in a training with more ranks than before, the epoch of another one.
            same_ranks: Whether there are as many ranks as before.
        """
        if "epoch" in stream:
            self.progress.load_state_dict(stream["epoch"], same_ranks)
        if "torch" in stream:
            self._resumed_random_state = stream

    def state_to_save(self) -> dict[str, Any]:
        """What a checkpoint keeps besides nnU-Net's state and the `stream_to_save` of every rank."""
        return {}

    def load_saved_state(self, state: dict[str, Any]) -> None:
        """Take up what `state_to_save` gave."""

    def keep_settings(self, began_with: Mapping[str, Any]) -> None:
        """Take up what a training that goes on may not change.

        Args:
            began_with: All its settings when it began; an earlier version may not have known some.
        """

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:  # type: ignore[override]  # nnU-Net's training gives files only
        """Load nnU-Net's state and ours.

        Raises:
            SettingsError: If the checkpoint is that of another trainer or optimiser, or holds what no checkpoint needs.
        """
        # Before nnU-Net loads it again, whatever is in it.
        checkpoint = load_checkpoint(filename_or_checkpoint, trusted=trusted_by_environment())
        require_continuable(
            checkpoint, filename_or_checkpoint, type(self).__name__, self.configuration_name, self.optimizer_name
        )
        super().load_checkpoint(filename_or_checkpoint)
        self._best_ema = best_score_of_epoch(filename_or_checkpoint, self.current_epoch, self._best_ema)
        self.keep_settings(checkpoint["init_args"]["plans"]["configurations"][self.configuration_name][KEY])
        state = checkpoint[KEY]
        self.load_saved_state(state)
        streams = state["streams"]
        if self.ranks.number < len(streams):
            stream = streams[self.ranks.number]
        else:  # a rank that was not there has no random streams to continue
            stream = {key: streams[0][key] for key in ("epoch",) if key in streams[0]}
        self.load_stream(stream, len(streams) == self.ranks.count)
