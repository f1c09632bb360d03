"""``nnunet_hetero train``: nnU-Net's own training command, with our trainer by default."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration.nnunet_arguments import require_possible_training
from nnunet_hetero.integration.nnunet_flags import (
    DEFAULT_TRAINER_NOTE,
    train_arguments,
    wants_help,
    with_default_trainer,
)
from nnunet_hetero.integration.train_command import (
    CHECKPOINTS,
    NOTE,
    continuing,
    fold_folder,
    is_complete,
    split_train_flags,
)
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import plans_file, require_variables
from nnunet_hetero.nnunet.versions import require_supported_nnunet

if TYPE_CHECKING:
    from nnunet_hetero.nnunet.ranks import Ranks
    from nnunet_hetero.training.distributed.launch import Launch

PASS_THROUGH = True
Value = TypeVar("Value")


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point with its arguments as they came, in every process that a launcher has started.

    Raises:
        SettingsError: If a variable of nnU-Net's is not set, a file that the training would load is refused, or the
            processes of a training do not fit together.
        StoppedError: If the training was asked to stop; the exit code then says that it can go on.
    """
    from nnunet_hetero.training.distributed.agreement import require_same_files
    from nnunet_hetero.training.distributed.launch import Launch, was_restarted
    from nnunet_hetero.training.interruption.launched import signals_passed_on

    with signals_passed_on():
        require_supported_nnunet()
        set_ext_trainer()
        flags, rest = split_train_flags(args.arguments)
        arguments = with_default_trainer(rest)
        _set_variables(flags)
        if wants_help(arguments):
            return _call_nnunet(arguments)
        require_variables("nnUNet_preprocessed", "nnUNet_results")
        launch = Launch.of_environment()
        group = _joined(launch, arguments) if launch else contextlib.nullcontext()
        with group as ranks:
            # torchrun counts restarts by node: where no process died, it knows of none.
            restarted = was_restarted() if ranks is None else ranks.any(was_restarted())
            if flags.auto_continue or restarted:
                training = train_arguments(arguments)
                if training is not None and _of_first(ranks, is_complete(fold_folder(training))):
                    print(f"{fold_folder(training)} is trained and validated; another nnUNet_results trains anew.")
                    return 0
                arguments = _of_first(ranks, continuing(arguments))
            if ranks is not None:
                require_same_files(ranks, _gone_on_from(arguments))
            require_trainable(arguments)
            return _call_nnunet(arguments)


@contextlib.contextmanager
def _joined(launch: Launch, arguments: Sequence[str]) -> Iterator[Ranks]:
    """The processes of a launch, which train the same."""
    from nnunet_hetero.training.distributed.agreement import facts, require_agreement
    from nnunet_hetero.training.distributed.group import joined

    require_possible_training(arguments)
    training = train_arguments(arguments)
    if training is not None and int(training.num_gpus or 1) > 1:
        raise SettingsError("-num_gpus is for nnU-Net's own processes. Here a launcher has started them: leave it out.")
    with joined(launch, (training and training.device) or "cuda") as ranks:
        if training is not None:
            plans = plans_file(training.dataset, training.p)
            files = [plans, plans.with_name("dataset.json"), plans.with_name("splits_final.json")]
            require_agreement(ranks, facts(files, arguments))
        yield ranks


def _gone_on_from(arguments: Sequence[str]) -> list[Path]:
    """Files whose weights each process is going to load, where they are."""
    training = train_arguments(arguments)
    if training is None:
        return []
    weights = [] if training.pretrained_weights is None else [Path(training.pretrained_weights)]
    if training.c or training.val or training.val_best:
        weights += [fold_folder(training) / name for name in CHECKPOINTS]
    return weights


def _of_first(ranks: Ranks | None, value: Value) -> Value:
    """What the first process finds; on another node a shared folder may show files later."""
    return value if ranks is None else ranks.gather([value])[0]


def _call_nnunet(arguments: Sequence[str]) -> int:
    # nnU-Net reads sys.argv, and usage lines begin with its first entry.
    sys.argv = ["nnunet_hetero train", *arguments]

    from nnunetv2.run.run_training import run_training_entry

    try:
        run_training_entry()
    except SystemExit as end:
        if not end.code:  # nnU-Net has printed its help
            print(f"{DEFAULT_TRAINER_NOTE}{NOTE}")
        raise
    return 0


def _set_variables(flags: argparse.Namespace) -> None:
    """Our flags reach the training, and all of its processes, by variables."""
    from nnunet_hetero.io.checkpoints import TRUST_VARIABLE
    from nnunet_hetero.training.interruption.stop_signals import MAX_TIME_VARIABLE

    if flags.trust_checkpoint:
        os.environ[TRUST_VARIABLE] = "1"
    if flags.max_time is not None:
        os.environ[MAX_TIME_VARIABLE] = flags.max_time


def require_trainable(arguments: Sequence[str], here: bool = True, trusted: bool = False) -> None:
    """Refuse a training that nnU-Net cannot do, or in which it would load what is no part of a model.

    Args:
        arguments: Of nnU-Net's command.
        here: Whether this machine is going to do it, so that it must have the device.
        trusted: Whether the user vouches for the files; else an environment variable may say so.

    Raises:
        SettingsError: If so; see `require_possible_training`.
    """
    from nnunet_hetero.io.checkpoints import trusted_by_environment

    if not (trusted or trusted_by_environment()):
        _require_harmless(arguments)
    require_possible_training(arguments, here)


def _require_harmless(arguments: Sequence[str]) -> None:
    """Look at what nnU-Net is going to load whatever is in it, whoever's trainer it is.

    Raises:
        SettingsError: If something in it is no part of a model.
    """
    from nnunet_hetero.io.checkpoints import load_checkpoint
    from nnunet_hetero.nnunet.model_gate import read_model_plans

    training = train_arguments(arguments)
    if training is None:
        return  # nnU-Net's parser words what is wrong with the arguments
    if training.pretrained_weights is not None:
        load_checkpoint(training.pretrained_weights, mmap=True)
    try:
        plans = plans_file(training.dataset, training.p)
        folder = fold_folder(training)
    except SettingsError:
        return  # nnU-Net words what is wrong with the dataset
    if plans.is_file():
        read_model_plans(plans)
    if training.c or training.val or training.val_best:
        for file in sorted(folder.glob("*.pth")):
            load_checkpoint(file, mmap=True)
