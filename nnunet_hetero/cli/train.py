"""``nnunet_hetero train``: nnU-Net's own training command, with our trainer by default."""

from __future__ import annotations

import argparse
import sys

from nnunet_hetero.integration.nnunet_flags import (
    DEFAULT_TRAINER_NOTE,
    TRAIN_FLAGS,
    flag_value,
    wants_help,
    with_default_trainer,
)
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import require_variables
from nnunet_hetero.nnunet.versions import require_supported_nnunet

PASS_THROUGH = True


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point with the arguments as they came.

    Raises:
        SettingsError: If a variable of nnU-Net's is not set, or ``-pretrained_weights`` names a file that is refused.
    """
    require_supported_nnunet()
    set_ext_trainer()
    if not wants_help(args.arguments):
        require_variables("nnUNet_preprocessed", "nnUNet_results")
    weights = flag_value(args.arguments, "-pretrained_weights", TRAIN_FLAGS)
    if weights is not None:
        from nnunet_hetero.io.checkpoints import load_checkpoint

        # nnU-Net is going to load it whatever is in it.
        load_checkpoint(weights, mmap=True)
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
