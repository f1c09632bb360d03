"""Our flags of ``nnunet_hetero train``, which nnU-Net's command does not know."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.integration.nnunet_flags import TRAIN_FLAGS, TRAIN_SWITCHES, train_arguments
from nnunet_hetero.nnunet.folders import model_folder
from nnunet_hetero.training.interruption.stop_signals import read_max_time

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")
"""What nnU-Net continues from, the first that is there."""

NOTE = """
--auto-continue goes on from the checkpoint that is there, starts if there is none, and does nothing if all is done; so
one command can be submitted again and again.
--max_time HH:MM stops in time, with a checkpoint and exit code 75, as SIGTERM and SIGUSR1 do.
--trust_checkpoint loads plans and checkpoints whatever they bring along; only for files whose origin you know."""


def split_train_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our flags and nnU-Net's arguments.

    Returns:
        ``auto_continue``, ``max_time`` (as typed, or None) and ``trust_checkpoint``; then what is left, in its order.

    Raises:
        SettingsError: If the time is none.
    """
    parser = argparse.ArgumentParser(prog="nnunet_hetero train", add_help=False, allow_abbrev=False)
    parser.add_argument("--auto-continue", action="store_true")
    parser.add_argument("--max_time", metavar="HH:MM")
    parser.add_argument("--trust_checkpoint", action="store_true")
    found, rest = parser.parse_known_args(list(argv))
    if found.max_time is not None:
        read_max_time(found.max_time)
    return found, rest


def fold_folder(training: argparse.Namespace) -> Path:
    """Where a training writes.

    Args:
        training: See `train_arguments`.
    """
    model = model_folder(training.dataset, training.tr, training.p, training.configuration)
    return Path(model) / f"fold_{training.fold}"


def is_complete(folder: Path) -> bool:
    """Whether a fold is trained and its validation, which follows, is written."""
    from nnunet_hetero.training.interruption.validation_progress import RECORD_NAME

    validation = folder / "validation"
    trained = (folder / CHECKPOINTS[0]).is_file()
    return trained and (validation / "summary.json").is_file() and not (validation / RECORD_NAME).exists()


def continuing(argv: Sequence[str]) -> list[str]:
    """The arguments with which nnU-Net's command goes on from the checkpoint that is there, or starts.

    Args:
        argv: Those of the command, without ours.
    """
    training = train_arguments(argv)
    if training is None or training.c or training.val:
        return list(argv)
    if not any((fold_folder(training) / name).is_file() for name in CHECKPOINTS):
        return list(argv)
    words = [training.dataset, training.configuration, training.fold]
    for flag in TRAIN_FLAGS:
        value = getattr(training, flag.lstrip("-"))
        # The weights to begin with are in the checkpoint, and nnU-Net takes only one of both.
        if value is not None and flag != "-pretrained_weights":
            words += [flag, str(value)]
    return [*words, *(flag for flag in TRAIN_SWITCHES if getattr(training, flag.lstrip("-"))), "--c"]
