"""``nnunet_hetero activate``."""

from __future__ import annotations

import argparse
import sys

from nnunet_hetero.integration.activation import activate, site_packages
from nnunet_hetero.nnunet.environment import OUR_TRAINERS

HELP = """\
Make nnU-Net's own commands, in this environment, know our trainers and flags: writes one start-up file into
site-packages and says which. Nothing of nnU-Net's is changed; for all other trainers its commands behave as before.
Once per environment; undone by 'nnunet_hetero deactivate'."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no flags."""


def run(args: argparse.Namespace) -> int:
    """Activate, and say what was done."""
    written = activate()
    for path in written:
        print(f"wrote {path}")
    if not written:
        print(f"already active in {site_packages()}, nothing written")
    print(
        f"From now on, in the environment {sys.prefix}:\n"
        f"  nnU-Net finds the trainers {', '.join(OUR_TRAINERS)}\n"
        "  nnUNetv2_predict knows our flags, see: nnUNetv2_predict -h\n"
        "Undo: nnunet_hetero deactivate"
    )
    return 0
