"""``nnunet_hetero change``: whether the volumes of two scans decide for progression, response or stability."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = """\
Compare the volumes of two scans of each patient, predicted with the same calibrated model, and say whether they decide:
PD (progression), PR (partial response), stable, or undecided if the intervals of the volumes allow more than one of
them. The two scans may have different modalities. Writes change.csv and change.png.

The thresholds are those of RANO 2.0 (Wen et al., Journal of Clinical Oncology 2023) unless you give others: those for
volumes, and of 2D images those for products of two diameters. New lesions, steroids and the patient's state, which RANO
asks for too, are yours to judge."""

TABLE, FIGURE = "change.csv", "change.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--before", required=True, metavar="OUT1", help="Output folder with the first scans.")
    parser.add_argument("--after", required=True, metavar="OUT2", help="Output folder with the second scans.")
    parser.add_argument("-o", required=True, metavar="OUTPUT", help="Folder for the results.")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="Table with the columns before and after, a row for each pair of scans. Default: scans of the same name; "
        "the exit code is 1 if one of them has no partner.",
    )
    parser.add_argument(
        "--level",
        type=float,
        help="Level of the ratio's interval; each volume's own is made at 1 - (1 - level) / 2. Default: that of the "
        "calibration.",
    )
    parser.add_argument(
        "--progression",
        type=float,
        metavar="SHARE",
        help="Increase of the volume from which on it is progression. Default: 0.4, 40 %% more; of areas (2D images) "
        "0.25",
    )
    parser.add_argument(
        "--response",
        type=float,
        metavar="SHARE",
        help="Decrease of the volume from which on it is a response. Default: 0.65, 65 %% less; of areas 0.5",
    )


def run(args: argparse.Namespace) -> int:
    """Compare, and print a line for each region of each pair; 1 if a scan has no partner and no table says so."""
    # Late, so that -h answers at once.
    from nnunet_hetero.evaluation.change.changes import (
        changes_of,
        csv_text,
        folder_for,
        in_words,
        require_comparable,
        require_two_scans,
    )
    from nnunet_hetero.evaluation.change.decision import Thresholds
    from nnunet_hetero.evaluation.change.figure import change_figure
    from nnunet_hetero.evaluation.change.pairs import listed, pairs_by_name, read_pairs
    from nnunet_hetero.evaluation.change.scans import Scans
    from nnunet_hetero.evaluation.report.figures.common import own_style
    from nnunet_hetero.io.atomic_files import replace_text, replacing
    from nnunet_hetero.reliability.conformal import require_level

    thresholds = Thresholds(args.progression, args.response)
    if args.level is not None:
        require_level(args.level)
    before, after = (Scans.read(Path(folder)) for folder in (args.before, args.after))
    require_comparable(before, after)
    alone: list[str] = []
    if args.pairs is None:
        pairs, alone = pairs_by_name(before.cases, after.cases)
    else:
        pairs = read_pairs(Path(args.pairs), before.cases, after.cases)
    require_two_scans(before, after, pairs)
    level = before.calibration.level if args.level is None else args.level
    changes = changes_of(before, after, pairs, thresholds, level)
    folder = folder_for(Path(args.o), before, after)
    replace_text(folder / TABLE, csv_text(changes))
    with own_style(), replacing(folder / FIGURE) as stream:
        change_figure(changes, thresholds).savefig(stream, format="png", dpi=120)
    print("\n".join(map(in_words, changes)))
    print(f"Written to {folder}: {TABLE}, {FIGURE}")
    if alone:
        print(
            f"error: {len(alone)} scan(s) are in one of the folders only, and were not compared: {listed(alone)}. If "
            "that is what you want, name the pairs in a table, --pairs.",
            file=sys.stderr,
        )
    return 1 if alone else 0
