"""``nnunet_hetero predict``: nnU-Net's own prediction command, with our flags and our trainer by default."""

from __future__ import annotations

import argparse
import sys

from nnunet_hetero.integration.environment import set_ext_trainer
from nnunet_hetero.integration.nnunet_flags import DEFAULT_TRAINER_NOTE, with_default_trainer
from nnunet_hetero.integration.startup import hook_entry_points
from nnunet_hetero.integration.versions import require_supported_nnunet

PASS_THROUGH = True


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point, hooked as `activate` would, with the arguments as they came."""
    require_supported_nnunet()
    set_ext_trainer()
    # nnU-Net reads sys.argv, and usage lines begin with its first entry.
    sys.argv = ["nnunet_hetero predict", *with_default_trainer(args.arguments)]

    from nnunetv2.inference import predict_from_raw_data

    hook_entry_points(predict_from_raw_data)
    try:
        predict_from_raw_data.predict_entry_point()
    except SystemExit as end:
        if not end.code:  # nnU-Net has printed its help
            print(DEFAULT_TRAINER_NOTE)
        raise
    return 0
