"""``nnunet_hetero train``: nnU-Net's own training command, with our trainer by default."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration.nnunet_arguments import require_possible_training
from nnunet_hetero.integration.nnunet_flags import (
    DEFAULT_TRAINER_NOTE,
    train_arguments,
    wants_help,
    with_default_trainer,
)
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import model_folder, plans_file, require_variables
from nnunet_hetero.nnunet.versions import require_supported_nnunet

PASS_THROUGH = True
TRUST_NOTE = (
    "--trust_checkpoint loads plans and checkpoints whatever they bring along; only for files whose origin you know."
)


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point with the arguments as they came.

    Raises:
        SettingsError: If a variable of nnU-Net's is not set, or a file that the training would load is refused.
    """
    require_supported_nnunet()
    set_ext_trainer()
    arguments = with_default_trainer(_without_trust(args.arguments))
    if not wants_help(arguments):
        require_variables("nnUNet_preprocessed", "nnUNet_results")
        _require_harmless(arguments)
        require_possible_training(arguments)
    # nnU-Net reads sys.argv, and usage lines begin with its first entry.
    sys.argv = ["nnunet_hetero train", *arguments]

    from nnunetv2.run.run_training import run_training_entry

    try:
        run_training_entry()
    except SystemExit as end:
        if not end.code:  # nnU-Net has printed its help
            print(f"{DEFAULT_TRAINER_NOTE}\n{TRUST_NOTE}")
        raise
    return 0


def _without_trust(arguments: Sequence[str]) -> list[str]:
    """The arguments that nnU-Net knows; trust reaches the training, and its processes, by a variable."""
    from nnunet_hetero.io.checkpoints import TRUST_FLAG, TRUST_VARIABLE

    if TRUST_FLAG in arguments:
        os.environ[TRUST_VARIABLE] = "1"
    return [argument for argument in arguments if argument != TRUST_FLAG]


def _require_harmless(arguments: Sequence[str]) -> None:
    """Look at what nnU-Net is going to load whatever is in it, whoever's trainer it is.

    Raises:
        SettingsError: If something in it is no part of a model.
    """
    from nnunet_hetero.io.checkpoints import load_checkpoint, trusted_by_environment
    from nnunet_hetero.nnunet.model_gate import read_model_plans

    training = train_arguments(arguments)
    if training is None or trusted_by_environment():
        return  # nnU-Net's parser words what is wrong with the arguments
    if training.pretrained_weights is not None:
        load_checkpoint(training.pretrained_weights, mmap=True)
    try:
        plans = plans_file(training.dataset, training.p)
        model = Path(model_folder(training.dataset, training.tr, training.p, training.configuration))
    except SettingsError:
        return  # nnU-Net words what is wrong with the dataset
    if plans.is_file():
        read_model_plans(plans)
    if training.c or training.val or training.val_best:
        for file in sorted(model.glob("fold_*/*.pth")):
            load_checkpoint(file, mmap=True)
