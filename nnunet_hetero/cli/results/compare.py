"""``nnunet_hetero compare``: evaluations of the same cases, side by side and tested."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError

if TYPE_CHECKING:
    from nnunet_hetero.evaluation.sweep.run import Run

HELP = """\
Compare evaluations of the same cases: per subset and region the mean and standard deviation, a paired Wilcoxon
signed-rank test against the first run with Holm's correction, effect size, and the bootstrap interval of the mean
difference. Prints the table and writes table.md, table.csv, table.tex, statistics.csv and report.html.

A RUN is the output folder of 'nnunet_hetero evaluate', or the folder of a model or fold that holds one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="Evaluations; the first one is the reference.")
    parser.add_argument("-o", required=True, metavar="OUTPUT", help="Output folder.")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="A name for each RUN. Default: their trainers.")
    parser.add_argument(
        "--join",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "RUN"),
        help="One more method, NAME, from several evaluations that hold different subsets, e.g. one network per "
        "subset, or different folds. Can be given several times.",
    )
    parser.add_argument("--metric", default="dice", help="A column of metrics.csv. Default: %(default)s")
    parser.add_argument(
        "--paper",
        action="store_true",
        help="Published results on BraTS beside yours: the paper's Table 1, newer means.",
    )
    add_format_argument(parser)


def add_format_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format``."""
    parser.add_argument(
        "--format",
        choices=("html", "png"),
        default="html",
        help="png: also the single plots as PNG files, in the folder figures. Default: %(default)s",
    )


def run(args: argparse.Namespace) -> int:
    """Compare, and print the table."""
    if args.names is not None and len(args.names) != len(args.runs):
        raise SettingsError(f"--names: {len(args.names)} name(s) for {len(args.runs)} run(s). Give one for each.")
    for name, *folders in args.join:
        if not folders:
            raise SettingsError(f"--join: '{name}' has no run. Give a name first, then the evaluations to join.")
    # Late, so that -h answers at once.
    from nnunet_hetero.evaluation.compare.comparison import compare_runs
    from nnunet_hetero.evaluation.report.comparison_report import FILES, write_comparison
    from nnunet_hetero.evaluation.sweep.run import join_runs, read_run

    names = args.names or [None] * len(args.runs)
    runs = [read_run(folder, name) for folder, name in zip(args.runs, names, strict=True)]
    _refuse_the_same_twice(runs)
    for name, *folders in args.join:
        runs.append(join_runs(name, [read_run(folder) for folder in folders]))
    comparison = compare_runs(runs, args.metric)
    print(write_comparison(args.o, comparison, args.paper, args.format == "png"))
    print(f"Written to {args.o}: {', '.join(FILES)}{', figures' if args.format == 'png' else ''}")
    return 0


def _refuse_the_same_twice(runs: Sequence[Run]) -> None:
    """One evaluation under two names would be compared with itself."""
    seen: dict[Path, str] = {}
    for run in runs:
        place = run.folder.resolve()
        if place in seen:
            raise SettingsError(f"'{seen[place]}' and '{run.name}' are one evaluation, {run.folder}. Name it once.")
        seen[place] = run.name
