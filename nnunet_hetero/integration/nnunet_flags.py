"""Reads single flags out of the arguments of nnU-Net's commands, without touching the others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER

DEFAULT_TRAINER_NOTE = f"\nCalled through nnunet_hetero, -tr defaults to {DEFAULT_TRAINER}."


TRAIN_FLAGS = ("-tr", "-p", "-pretrained_weights", "-num_gpus", "-device")
TRAIN_SWITCHES = ("--npz", "--c", "--val", "--val_best", "--disable_checkpointing")
PREDICT_FLAGS = (
    *("-i", "-o", "-d", "-p", "-tr", "-c", "-f", "-m", "-step_size", "-chk", "-npp", "-nps"),
    *("-prev_stage_predictions", "-num_parts", "-part_id", "-device"),
)
"""Flags of nnU-Net's commands that take values. A parser that knows but one of them would take others for its
abbreviation (``-p`` for ``-pretrained_weights``), or for its value (``-device`` for ``-d evice``)."""


class _Reader(argparse.ArgumentParser):
    """A parser that neither prints nor ends the program."""

    def error(self, message: str) -> NoReturn:
        """What `argparse` does not raise by itself: abbreviations with more than one meaning."""
        raise argparse.ArgumentError(None, message)


def flag_value(argv: Sequence[str], flag: str, flags: Sequence[str] = PREDICT_FLAGS) -> str | None:
    """Value of one of nnU-Net's flags, read as nnU-Net's own parser reads it (``-t X`` and ``-tr=X`` included).

    Args:
        argv: Arguments of an nnU-Net command.
        flag: A flag that takes one value, e.g. ``-tr``.
        flags: All of the command's flags that take values.

    Returns:
        The value, None if the flag is not there. A flag without its value counts as not there: nnU-Net's parser, which
        reads the arguments after us, words that error.
    """
    parser = _Reader(add_help=False, exit_on_error=False)
    for name in flags:
        parser.add_argument(name, dest=name, nargs="+" if name == "-f" else None)
    try:
        return vars(parser.parse_known_args(list(argv))[0])[flag]
    except argparse.ArgumentError:
        return None


def train_arguments(argv: Sequence[str]) -> argparse.Namespace | None:
    """What ``nnUNetv2_train`` is told, as far as it says which files are loaded.

    Args:
        argv: Its arguments.

    Returns:
        ``dataset``, ``configuration``, ``fold`` (as its folder is called: 0 for 00), ``tr``, ``p``,
        ``pretrained_weights``, and whether a checkpoint of the training itself is loaded (``c``, ``val``,
        ``val_best``); None if nnU-Net's parser is going to refuse them.
    """
    parser = _Reader(add_help=False, exit_on_error=False)
    for name in ("dataset", "configuration", "fold"):
        parser.add_argument(name)
    for name in TRAIN_FLAGS:
        parser.add_argument(name, default={"-tr": "nnUNetTrainer", "-p": "nnUNetPlans"}.get(name))
    for name in TRAIN_SWITCHES:
        parser.add_argument(name, action="store_true")
    try:
        found = parser.parse_args(list(argv))
    except argparse.ArgumentError:
        return None
    if found.fold.isascii() and found.fold.isdigit():
        found.fold = str(int(found.fold))
    return found


def wants_help(argv: Sequence[str]) -> bool:
    """Whether nnU-Net's parser is going to print its help and end."""
    return "-h" in argv or "--help" in argv


def with_default_trainer(argv: Sequence[str]) -> list[str]:
    """The arguments, with ``-tr`` and our default trainer added if the user named no trainer."""
    return list(argv) if flag_value(argv, "-tr") is not None else [*argv, "-tr", DEFAULT_TRAINER]
