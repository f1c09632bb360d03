"""Convert a BIDS folder, ``sub-*/[ses-*]/anat``, to an nnU-Net dataset.

``nnunet_hetero convert bids -i BIDS -d 506 --labels derivatives/lesions --classes lesion=1``, or with
``python dataset_conversion/bids.py``. T1w, T1w with a ``ce`` entity, T2w and FLAIR become T1, T1c, T2 and FLAIR.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.dataset_conversion.bids_layout import Choice, find_bids_cases
from nnunet_hetero.dataset_conversion.bids_names import CHANNELS
from nnunet_hetero.dataset_conversion.writing.classes import add_classes_argument, read_classes
from nnunet_hetero.dataset_conversion.writing.command import add_common_arguments, run_alone, run_conversion
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.tables import read_table


def read_dseg_table(labels: Path) -> LabelScheme:
    """Read what the values mean from the table that BIDS asks for, ``*dseg.tsv`` with ``index`` and ``name``.

    Args:
        labels: Folder of the segmentations; the table lies in it directly.

    Raises:
        SettingsError: If there is no such table, or several.
        DataError: If it lacks a column.
    """
    files = sorted(labels.glob("*dseg.tsv"))
    if len(files) != 1:
        raise SettingsError(
            f"What do the values in the segmentations mean? Say it, e.g. --classes lesion=1 ({labels} has {len(files)} "
            "tables *dseg.tsv; with exactly one it would be read)."
        )
    table = read_table(files[0], "index", ("name",))
    if "name" not in table.columns:
        raise DataError(f"{files[0]} has no column 'name'.")
    names = {row["index"]: re.sub(r"\W+", "_", row["name"].strip()) for _, row in table.rows if row["index"] != "0"}
    return read_classes([f"{name}={index}" for index, name in names.items()])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert bids``."""
    add_common_arguments(parser, "BIDS", "BIDS folder with the sub-*, raw or of derivatives")
    parser.add_argument(
        "--labels",
        metavar="FOLDER",
        help="folder of the segmentations, from here or from the BIDS folder, e.g. derivatives/lesions",
    )
    parser.add_argument(
        "--label-pattern", default="*_dseg.nii.gz", metavar="PATTERN", help="of their file names (%(default)s)"
    )
    add_classes_argument(parser, "--classes")
    parser.add_argument(
        "--run",
        dest="run_choice",
        metavar="RUN",
        help="of several runs take the first, the last, or the one of a number",
    )
    parser.add_argument(
        "--prefer",
        nargs="+",
        default=[],
        metavar="ENTITY",
        help="of several files take those with it, e.g. acq-highres",
    )
    parser.add_argument(
        "--modality-of",
        nargs="+",
        default=[],
        metavar="END=MODALITY",
        help=f"what files are whose names end so, e.g. acq-post_T1w=T1c; modalities are {', '.join(CHANNELS)}",
    )


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    if args.run_choice and not re.fullmatch(r"first|last|[1-9]\d*", args.run_choice):
        raise SettingsError(f"--run is '{args.run_choice}'; expected first, last, or a number from 1 on.")
    wrong = [entity for entity in args.prefer if not re.fullmatch(r"[a-z]+-[A-Za-z0-9]+", entity)]
    if wrong:
        raise SettingsError(f"--prefer: '{wrong[0]}' is no entity such as acq-highres.")
    named = dict(_named(entry) for entry in args.modality_of)
    raw = Path(args.input)
    labels = Path(args.labels) if args.labels else None
    if labels is not None and not labels.is_dir():
        labels = raw / labels
    cohort = find_bids_cases(raw, labels, args.label_pattern, Choice(args.run_choice, tuple(args.prefer), named))
    if args.classes:
        scheme = read_classes(args.classes)
    elif labels is not None:
        scheme = read_dseg_table(labels)
    else:
        raise SettingsError("Where are the segmentations, and what do they show? Say it with --labels and --classes.")
    spec = DatasetSpec(CHANNELS, replace(scheme, hint="Name all values with --classes."), f"BIDS folder {raw.name}")
    return run_conversion(spec, cohort.cases, args, cohort.ignored)


def _named(entry: str) -> tuple[str, str]:
    end, _, name = entry.partition("=")
    known = {channel.lower(): channel for channel in CHANNELS}
    if not end or name.lower() not in known:
        raise SettingsError(
            f"--modality-of: '{entry}' is not END=MODALITY, such as acq-post_T1w=T1c; modalities are "
            f"{', '.join(CHANNELS)}."
        )
    return end.removeprefix("_"), known[name.lower()]


def main(argv: list[str] | None = None) -> int:
    """Command line of the BIDS converter alone."""
    return run_alone("bids.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
