"""What a command would refuse is refused before it is handed to other machines, as far as it can be known here."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence

from nnunet_hetero.cli.models import predict as predict_command
from nnunet_hetero.cli.models.train import require_trainable
from nnunet_hetero.cli.results import evaluate as evaluate_command
from nnunet_hetero.integration.nnunet_flags import train_arguments, with_default_trainer
from nnunet_hetero.integration.train_command import continuing, fold_folder, is_complete, split_train_flags
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.folders import require_variables
from nnunet_hetero.nnunet.versions import require_supported_nnunet

CPU = "cpu"
"""Where a model is loaded here: to know what is to be done, not to do it."""


def require_possible(command: str, tasks: Sequence[Sequence[str]]) -> None:
    """Refuse what each machine would refuse: plans, folds, models and folders that are not there, for example.

    Args:
        command: ``train``, ``predict`` or ``evaluate``.
        tasks: Its arguments, for each machine.

    Raises:
        HeteroError: As the command raises it.
        SystemExit: As the command ends after it has printed what is wrong.
    """
    require_supported_nnunet()
    set_ext_trainer()
    with contextlib.redirect_stdout(io.StringIO()):  # what nnU-Net prints as it begins
        if command == "train":
            for task in tasks:
                require_training(task)
        elif command == "predict":
            predict_command.predict_with(tasks[0], only_look=True)  # the others are parts of the same
        else:
            for task in tasks:
                _require_evaluation(task)


def require_training(task: Sequence[str]) -> None:
    """Refuse a training that no machine can do; raises as ``nnunet_hetero train``.

    Args:
        task: Arguments of that command.
    """
    require_variables("nnUNet_preprocessed", "nnUNet_results")
    flags, rest = split_train_flags(task)
    arguments = with_default_trainer(rest)
    training = train_arguments(arguments)
    if flags.auto_continue and training is not None and is_complete(fold_folder(training)):
        return
    own = continuing(arguments) if flags.auto_continue else arguments
    require_trainable(own, here=False, trusted=flags.trust_checkpoint)


def _require_evaluation(task: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="nnunet_hetero evaluate")
    evaluate_command.add_arguments(parser)
    args = parser.parse_args(list(task))
    args.device = CPU
    evaluate_command.look(args)
