"""``nnunet_hetero doctor``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap

from nnunet_hetero.version import __version__

HELP = """\
Check an installation: versions, trainers, commands, folders, device. Says for each problem how to mend it.
Exit code 1 if training could not work, 0 otherwise (warnings included)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-d", metavar="ID", help="Look at this data set in nnUNet_raw besides.")
    parser.add_argument(
        "-p",
        metavar="PLANS",
        default="nnUNetPlans",
        help="with -d: say what a training step of these plans takes. Default: nnUNetPlans",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts and for bug reports")


def run(args: argparse.Namespace) -> int:
    """Run the checks and print them."""
    from nnunet_hetero.integration.checks import FAIL, OK, all_checks

    checks = []
    for check in all_checks(args.d, args.p):
        checks.append(check)
        if not args.json:
            print(f"{check.status:<4}  {check.name}: {check.found}", flush=True)
            if check.mend:
                print(textwrap.indent(f"mend: {check.mend}", " " * 6), flush=True)
    failed = [check.name for check in checks if check.status == FAIL]
    if args.json:
        report = {
            "version": __version__,
            "ok": not failed,
            "checks": [dataclasses.asdict(check) for check in checks],
        }
        print(json.dumps(report, indent=2))
    elif failed:
        print(f"\nTraining cannot work yet, mend: {', '.join(failed)}")
    else:
        amiss = sum(check.status != OK for check in checks)
        print(f"\nTraining can work{f' ({amiss} warnings)' if amiss else ''}.")
    return 1 if failed else 0
