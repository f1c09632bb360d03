"""``nnunet_hetero train``: nnU-Net's own training command, with our trainer by default."""

from __future__ import annotations

import argparse
import sys

from nnunet_hetero.integration.environment import set_ext_trainer
from nnunet_hetero.integration.nnunet_flags import DEFAULT_TRAINER_NOTE, with_default_trainer
from nnunet_hetero.integration.versions import require_supported_nnunet

PASS_THROUGH = True


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point with the arguments as they came."""
    require_supported_nnunet()
    set_ext_trainer()
    # nnU-Net reads sys.argv, and usage lines begin with its first entry.
    sys.argv = ["nnunet_hetero train", *with_default_trainer(args.arguments)]

    from nnunetv2.run.run_training import run_training_entry

    try:
        run_training_entry()
    except SystemExit as end:
        if not end.code:  # nnU-Net has printed its help
            print(DEFAULT_TRAINER_NOTE)
        raise
    return 0
