"""``nnunet_hetero deactivate``."""

from __future__ import annotations

import argparse

from nnunet_hetero.integration.activation import deactivate, site_packages

HELP = "Undo 'nnunet_hetero activate': remove the start-up file from this environment's site-packages."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no flags."""


def run(args: argparse.Namespace) -> int:
    """Deactivate, and say what was done."""
    removed = deactivate()
    for path in removed:
        print(f"removed {path}")
    if not removed:
        print(f"not active in {site_packages()}, nothing removed")
    return 0
