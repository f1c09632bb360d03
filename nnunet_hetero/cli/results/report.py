"""``nnunet_hetero report``: the page of an evaluation."""

from __future__ import annotations

import argparse

from nnunet_hetero.cli.results.compare import add_format_argument

HELP = """\
Write report.html into the folder of an evaluation: table, heat map, what each modality brings, pictures of the best,
median and worst case per subset, failures, conventions, versions and plans. One file, which loads nothing from
elsewhere and can be printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="Output folder of 'nnunet_hetero evaluate', or the folder of a model or fold that holds one.",
    )
    add_format_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write, and say where."""
    # Late, so that -h answers at once.
    from nnunet_hetero.evaluation.report.run_report import write_run_figures, write_run_report

    print(f"written: {write_run_report(args.run)}")
    if args.format == "png":
        for file in write_run_figures(args.run):
            print(f"written: {file}")
    return 0
