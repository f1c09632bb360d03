"""``nnunet_hetero predict``: nnU-Net's own prediction commands, with our flags and our trainer by default."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnunet_hetero.integration.nnunet_flags import DEFAULT_TRAINER_NOTE, flag_value, wants_help, with_default_trainer
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import require_variables
from nnunet_hetero.nnunet.versions import require_supported_nnunet

if TYPE_CHECKING:
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

PASS_THROUGH = True


def run(args: argparse.Namespace) -> int:
    """Call nnU-Net's entry point as the hooked command does; with ``-m``, the one for the folder of a model.

    Raises:
        SettingsError: If the model is to be found by ``nnUNet_results``, and that is not set.
    """
    return predict_with(args.arguments)


def predict_with(
    arguments: Sequence[str], predictor: type[HeteroModalPredictor] | None = None, only_look: bool = False
) -> int:
    """The command, by another predictor than ours on demand; raises as `run`.

    Args:
        arguments: Of the command.
        predictor: Class of the predictor.
        only_look: Whether to end where the first case would be predicted, here or elsewhere.
    """
    require_supported_nnunet()
    set_ext_trainer()
    name = "predict_entry_point_modelfolder"
    if flag_value(arguments, "-m") is None:
        arguments, name = with_default_trainer(arguments), "predict_entry_point"
        if not wants_help(arguments):
            require_variables("nnUNet_results")
    # nnU-Net reads sys.argv, and usage lines begin with its first entry.
    sys.argv = ["nnunet_hetero predict", *arguments]

    from nnunetv2.inference import predict_from_raw_data

    from nnunet_hetero.integration.predict_command import predict

    original = inspect.unwrap(getattr(predict_from_raw_data, name))
    try:
        predict(predict_from_raw_data, name, original, safely=True, predictor=predictor, only_look=only_look)
    except SystemExit as end:
        if not end.code:  # nnU-Net has printed its help
            print(DEFAULT_TRAINER_NOTE)
        raise
    return 0
