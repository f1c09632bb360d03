"""Reads single flags out of the arguments of nnU-Net's commands, without touching the others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nnunet_hetero.integration.environment import DEFAULT_TRAINER

DEFAULT_TRAINER_NOTE = f"\nCalled through nnunet_hetero, -tr defaults to {DEFAULT_TRAINER}."


def flag_value(argv: Sequence[str], flag: str) -> str | None:
    """Value of one of nnU-Net's flags, read as nnU-Net's own parser reads it (``-t X`` and ``-tr=X`` included).

    Args:
        argv: Arguments of an nnU-Net command.
        flag: A flag that takes one value, e.g. ``-tr``.

    Returns:
        The value, None if the flag is not there. A flag without its value counts as not there: nnU-Net's parser, which
        reads the arguments after us, words that error.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument(flag, dest="value")
    try:
        return parser.parse_known_args(list(argv))[0].value
    except argparse.ArgumentError:
        return None


def wants_help(argv: Sequence[str]) -> bool:
    """Whether nnU-Net's parser is going to print its help and end."""
    return "-h" in argv or "--help" in argv


def with_default_trainer(argv: Sequence[str]) -> list[str]:
    """The arguments, with ``-tr`` and our default trainer added if the user named no trainer."""
    return list(argv) if flag_value(argv, "-tr") is not None else [*argv, "-tr", DEFAULT_TRAINER]
