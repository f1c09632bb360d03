"""The flags that we add to nnU-Net's prediction commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_hetero.integration.environment import OUR_TRAINERS


@dataclass(frozen=True)
class PredictionOptions:
    """What the user asked of a prediction beyond nnU-Net's own flags.

    Args:
        missing: Modalities to treat as absent, by name (upper and lower case are the same) or channel number.
        available: The only modalities to use; all others are treated as absent. Empty means no such restriction.
    """

    missing: tuple[str, ...] = ()
    available: tuple[str, ...] = ()


def add_prediction_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare our prediction flags."""
    subset = parser.add_mutually_exclusive_group()
    subset.add_argument(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="Modalities to treat as absent in every case, by name (upper and lower case are the same) or channel "
        "number. A case whose file for a modality is not there needs no flag.",
    )
    subset.add_argument(
        "--available",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="The only modalities to use; all others are treated as absent in every case.",
    )


def split_prediction_flags(argv: Sequence[str], prog: str) -> tuple[PredictionOptions, list[str]]:
    """Take our flags out of the arguments of a prediction command.

    Args:
        argv: The arguments as the user typed them, without the command.
        prog: The command's name, for usage lines.

    Returns:
        The options, and the arguments that are left for nnU-Net, in their order.
    """
    # Without abbreviations: what is not exactly one of our flags is nnU-Net's to judge.
    parser = argparse.ArgumentParser(prog=prog, add_help=False, allow_abbrev=False)
    add_prediction_arguments(parser)
    found, rest = parser.parse_known_args(list(argv))
    return PredictionOptions(missing=tuple(found.missing), available=tuple(found.available)), rest


def prediction_flags_help() -> str:
    """Our flags as a section below nnU-Net's help."""
    parser = argparse.ArgumentParser(add_help=False, usage=argparse.SUPPRESS)
    group = parser.add_argument_group(f"nnunet_hetero, with -tr {' or '.join(OUR_TRAINERS)}")
    add_prediction_arguments(group)
    return parser.format_help()
