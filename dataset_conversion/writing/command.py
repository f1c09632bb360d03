"""The command line that all converters of raw cohorts share: their options, the dry run, and what they print."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nnunet_hetero.errors import HeteroError, SettingsError, os_error_in_words
from nnunet_hetero.io.console import GO_ON, make_printable
from nnunet_hetero.io.places import require_apart
from nnunet_hetero.io.stopping.requests import requests_to_stop, stopped_by_user
from nnunet_hetero.nnunet.arguments import whole_number

from .cases import RawCase
from .common import DEFAULT_PROCESSES, convert_cohort
from .dataset import DatasetSpec, dataset_folder
from .summary import conversion_in_words, count, describe_failures
from .unlabelled import CHOICES, REFUSED, TEST_CASES


def add_common_arguments(
    parser: argparse.ArgumentParser, default_name: str, input_help: str, unlabelled: str = REFUSED
) -> None:
    """Add the options that every converter has.

    Args:
        parser: The converter's parser.
        default_name: What stands after ``DatasetNNN_`` if the user does not say.
        input_help: What ``-i`` is.
        unlabelled: What becomes of cases without segmentation if no flag says it, one of `CHOICES`.
    """
    parser.add_argument("-i", "--input", required=True, metavar="RAW", help=input_help)
    parser.add_argument(
        "-d",
        "--dataset-id",
        required=True,
        type=whole_number(1, 999),
        metavar="ID",
        help="nnU-Net dataset ID, 1 to 999",
    )
    parser.add_argument("--name", default=default_name, help="dataset name after DatasetNNN_ (%(default)s)")
    parser.add_argument(
        "--modalities", nargs="+", metavar="NAME", help="convert these modalities only, as channels in this order (all)"
    )
    parser.add_argument(
        "--unlabelled",
        choices=CHOICES,
        default=unlabelled,
        help="cases without a segmentation: report them as errors, make them test cases (imagesTs), or training cases "
        "that teach how images look (%(default)s)",
    )
    parser.add_argument(
        "--unlabelled-to-imagesTs",
        dest="unlabelled",
        action="store_const",
        const=TEST_CASES,
        help=f"the same as --unlabelled {TEST_CASES}",
    )
    parser.add_argument(
        "-np",
        dest="processes",
        type=whole_number(1),
        default=DEFAULT_PROCESSES,
        metavar="N",
        help="processes (%(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="read and check everything, say what would be written, write nothing"
    )


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--labels``, for sources whose labels make regions that overlap."""
    parser.add_argument(
        "--labels", action="store_true", help="keep the plain labels, instead of the regions that the challenge scores"
    )


def run_conversion(
    spec: DatasetSpec, cases: Sequence[RawCase], args: argparse.Namespace, ignored: Sequence[Path] = ()
) -> int:
    """Convert what was found as the options of `add_common_arguments` ask for, and print what was done.

    Args:
        spec: The dataset to make.
        cases: What was found in the raw data.
        args: The parsed options.
        ignored: Images in the raw data that are no modality of any case.

    Returns:
        The exit code: 1 when a case could not be converted, or the dataset cannot be used.
    """
    folder = dataset_folder(args.dataset_id, args.name, args.dry_run)
    if args.modalities:
        spec, cases = select_modalities(spec, cases, args.modalities)
    require_apart([folder], {"-i": args.input})
    print(f"{args.input}: {spec.description}, {count(len(cases), 'case')}")
    if ignored:
        shown = ", ".join(map(str, ignored[:3])) + (", ..." if len(ignored) > 3 else "")
        verb = "is" if len(ignored) == 1 else "are"
        print(f"warning: ignored {count(len(ignored), 'image')} that {verb} no modality of a case: {shown}")
    summary = convert_cohort(folder, spec, cases, args.processes, args.unlabelled, dry_run=args.dry_run)
    if args.dry_run:
        print("Dry run: all files were read and checked, nothing was written. The result would be")
    print(conversion_in_words(summary))
    failures = describe_failures(summary) if summary.failures or summary.refusal else ""
    if failures:
        print(f"error: {failures}", file=sys.stderr)
    return 1 if failures else 0


def select_modalities(
    spec: DatasetSpec, cases: Sequence[RawCase], names: Sequence[str]
) -> tuple[DatasetSpec, list[RawCase]]:
    """Reduce a cohort to some of its modalities, in the order given.

    Raises:
        SettingsError: If a name is not one of the modalities, or stands twice.
    """
    known = [name.lower() for name in spec.channel_names]
    for name in names:
        if name.lower() not in known:
            raise SettingsError(f"--modalities: '{name}' is none of {', '.join(spec.channel_names)}.")
    channels = [known.index(name.lower()) for name in names]
    if len(set(channels)) < len(channels):
        raise SettingsError(f"--modalities: a name stands twice in {' '.join(names)}.")
    reduced = replace(spec, channel_names=tuple(spec.channel_names[channel] for channel in channels))
    return reduced, [_with_channels(case, channels) for case in cases]


def _with_channels(case: RawCase, channels: Sequence[int]) -> RawCase:
    images = tuple(case.images[channel] for channel in channels)
    volumes = case.volumes and tuple(case.volumes[channel] for channel in channels)
    return replace(case, images=images, volumes=volumes)


def run_alone(
    prog: str,
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    """Command line of one converter that is called as a script; errors as ``nnunet_hetero`` prints them.

    Args:
        prog: Name for usage lines.
        description: What the converter does.
        add_arguments: Declares its options.
        run: Does the work, returns the exit code.
        argv: The arguments; None reads ``sys.argv``.
    """
    make_printable()
    parser = argparse.ArgumentParser(prog=prog, description=description)
    add_arguments(parser)
    try:
        with contextlib.nullcontext() if argv is not None else requests_to_stop():
            return run(parser.parse_args(argv))
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {os_error_in_words(error)}", file=sys.stderr)
    except KeyboardInterrupt as interrupt:
        if argv is not None:  # Python code that calls us decides for itself
            raise
        return stopped_by_user(interrupt, GO_ON)
    return 1
