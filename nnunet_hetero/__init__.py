"""nnunet_hetero: hetero-modal segmentation (U-HVED) inside nnU-Net v2.

What is named here is the public interface from Python, beside the classes that other packages build on (see
docs/how-to/add-a-fusion.md and its neighbours). Nothing is imported before it is used, so that commands answer at once.

Examples:
    >>> from nnunet_hetero import HeteroModalConfig
    >>> HeteroModalConfig(kl_weight=0.1).kl_weight
    0.1
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnunet_hetero.version import __version__

if TYPE_CHECKING:
    from nnunet_hetero.config import HeteroModalConfig
    from nnunet_hetero.evaluation.sweep.model import evaluate_model
    from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
    from nnunet_hetero.inference.engine.case_result import SamplingOptions
    from nnunet_hetero.inference.options import PredictionOptions
    from nnunet_hetero.inference.predictor import HeteroModalPredictor
    from nnunet_hetero.intake.from_python import prepare_case
    from nnunet_hetero.intake.one_case import PreparedCase


__all__ = [
    "EvaluationRequest",
    "HeteroModalConfig",
    "HeteroModalPredictor",
    "PredictionOptions",
    "PreparedCase",
    "SamplingOptions",
    "__version__",
    "evaluate_model",
    "prepare_case",
]

_MODULES = {
    "EvaluationRequest": "nnunet_hetero.evaluation.sweep.request",
    "HeteroModalConfig": "nnunet_hetero.config",
    "HeteroModalPredictor": "nnunet_hetero.inference.predictor",
    "PredictionOptions": "nnunet_hetero.inference.options",
    "PreparedCase": "nnunet_hetero.intake.one_case",
    "SamplingOptions": "nnunet_hetero.inference.engine.case_result",
    "evaluate_model": "nnunet_hetero.evaluation.sweep.model",
    "prepare_case": "nnunet_hetero.intake.from_python",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
