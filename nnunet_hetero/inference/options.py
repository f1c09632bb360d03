"""The flags that we add to nnU-Net's prediction commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from nnunet_hetero.inference.engine.case_result import COMPLETED_CHOICES, Demands, SamplingOptions
from nnunet_hetero.nnunet.arguments import seed, whole_number
from nnunet_hetero.nnunet.environment import OUR_TRAINERS


@dataclass(frozen=True)
class PredictionOptions:
    """What the user asked of a prediction beyond nnU-Net's own flags.

    Args:
        missing: Modalities to treat as absent, by name (upper and lower case are the same) or channel number.
        available: The only modalities to use; all others are treated as absent. Empty means no such restriction.
        sampling: Draws of the latents, and what is written besides the segmentation.
        trust_checkpoint: Whether the user vouches for the model's files, so that anything in them is loaded.
        view: Whether the command writes pages to look at the cases, see `nnunet_hetero.viewer`.
        demands: What a prediction has to come up to.
    """

    missing: tuple[str, ...] = ()
    available: tuple[str, ...] = ()
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    trust_checkpoint: bool = False
    view: bool = False
    demands: Demands = field(default_factory=Demands)


def add_prediction_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare our prediction flags."""
    add_subset_arguments(parser)
    add_sampling_arguments(parser)
    add_completion_argument(parser)
    parser.add_argument(
        "--save_uncertainty",
        action="store_true",
        help="Write entropy and mutual information per region, as images and as one number per case, to "
        "OUTPUT/uncertainty.",
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="Scale saved probabilities and entropies by the temperatures that 'nnunet_hetero calibrate' found; "
        "segmentations stay as they are.",
    )
    parser.add_argument(
        "--min_dice",
        type=float,
        metavar="DICE",
        help="Dice that you want at least: quality.csv says 'look' for every region whose lower bound is below it. "
        "Needs a calibrated model.",
    )
    parser.add_argument(
        "--refuse_suspicious",
        action="store_true",
        help="A case fails if an image of it does not look like what its name says, instead of a warning. Needs a "
        "calibrated model.",
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="Write pages to look at the cases in a browser, OUTPUT/view/index.html; needs the extra [viewer].",
    )
    add_trust_argument(parser)


def add_subset_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare the flags that settle which modalities the model sees."""
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


def add_completion_argument(parser: argparse._ActionsContainer, default: str | None = None) -> None:
    """Declare the flag that settles what is completed.

    Args:
        parser: Where to.
        default: What is completed without the flag; None completes nothing.
    """
    parser.add_argument(
        "--save_completed",
        nargs="?",
        choices=COMPLETED_CHOICES,
        const="missing",
        default=default,
        help="Write the modalities that the model completes to OUTPUT/completed, on the case's own grid: the missing "
        "ones (default of the flag), or all, with reconstructions of those that are there.",
    )


def add_trust_argument(parser: argparse._ActionsContainer) -> None:
    """Declare the flag that lets a model's files run code."""
    parser.add_argument(
        "--trust_checkpoint",
        action="store_true",
        help="Load the model's files whatever they bring along. A checkpoint can run any code: only for files whose "
        "origin you know. Models of nnU-Net and of nnunet_hetero do not need it.",
    )


def add_sampling_arguments(
    parser: argparse._ActionsContainer, num_samples: int = SamplingOptions.num_samples, needs_draws: bool = False
) -> None:
    """Declare the flags of the draws.

    Args:
        parser: Where to.
        num_samples: Default number of draws.
        needs_draws: Whether the command has no use for the posterior's mean.
    """
    none = "1 or more" if needs_draws else "0: one pass, with the posterior's mean, faster"
    parser.add_argument(
        "--num_samples",
        type=whole_number(),
        default=num_samples,
        metavar="S",
        help=f"Draws of the latents to average; with mirroring they are spread over the mirrored views. {none}. "
        "Default: %(default)s",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=SamplingOptions.seed,
        metavar="N",
        help="Seed of the draws; together with the case's name it settles them. Default: %(default)s",
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
    kept = found.save_completed, found.save_uncertainty, found.calibrated
    sampling = SamplingOptions(found.num_samples, found.seed, *kept)
    subset = tuple(found.missing), tuple(found.available)
    demands = Demands(found.min_dice, found.refuse_suspicious)
    options = PredictionOptions(*subset, sampling, found.trust_checkpoint, found.view, demands)
    return options, rest


def prediction_flags_help() -> str:
    """Our flags as a section below nnU-Net's help."""
    parser = argparse.ArgumentParser(add_help=False, usage=argparse.SUPPRESS)
    group = parser.add_argument_group(f"nnunet_hetero, with -tr {' or '.join(OUR_TRAINERS)}")
    add_prediction_arguments(group)
    return parser.format_help()
