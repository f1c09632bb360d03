"""nnU-Net's own predictor must not load our models, nor validate them: it knows nothing of absent modalities."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace

from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet
from torch import Tensor

from nnunet_hetero.errors import SettingsError

MODULE = "nnunetv2.inference.predict_from_raw_data"
LOADS_A_MODEL = "initialize_from_trained_model_folder"
COMMANDS = ("predict_entry_point", "predict_entry_point_modelfolder")


def refuse_stock_predictor(trainer: str) -> None:
    """Stop nnU-Net's own predictor, if it is what loads a model.

    With ``nnUNet_extTrainer`` alone nnU-Net finds our trainers, but its command predicts with its own predictor: a file
    that is not there shifts the channels, and an absent CT is taken for an image. It asks the trainer for the network;
    this is called then.

    Args:
        trainer: Name of the trainer.

    Raises:
        SettingsError: If a program uses nnU-Net's predictor.
        SystemExit: If nnU-Net's command does, which would show a traceback.
    """
    names = []
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") in (MODULE, "__main__"):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    if LOADS_A_MODEL not in names:
        return
    problem = (
        f"nnU-Net's own predictor cannot predict with a model of {trainer}: it knows nothing of absent modalities, and "
        "what it gave would be wrong without a word. Use 'nnunet_hetero predict' with the same flags, or run "
        "'nnunet_hetero activate' once, after which nnUNetv2_predict knows such models. From Python: "
        "nnunet_hetero.inference.predictor.HeteroModalPredictor, which has the same methods."
    )
    if any(name in COMMANDS for name in names):
        raise SystemExit(f"error: {problem}")
    raise SettingsError(problem)


@contextlib.contextmanager
def predicting_by(predict: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let nnU-Net's trainer, in its validation meanwhile, predict by this instead of nnU-Net's predictor.

    Args:
        predict: From a preprocessed case ``(M, *spatial)`` to logits ``(K, *spatial)``.
    """

    def make(*arguments: object, **keywords: object) -> SimpleNamespace:
        return SimpleNamespace(
            manual_initialization=lambda *arguments: None, predict_sliding_window_return_logits=predict
        )

    original = nnunet.nnUNetPredictor
    nnunet.nnUNetPredictor = make
    try:
        yield
    finally:
        nnunet.nnUNetPredictor = original
