"""Trainings on a CPU in bfloat16, much as they are in half precision on a GPU; with AVX512-BF16 in 0.6 of the time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import Tensor, nn

from nnunet_hetero.errors import SettingsError

BFLOAT16, FLOAT32 = "bfloat16", "float32"


def require_fast(precision: str, device: str) -> None:
    """Refuse what would take ten times as long: bfloat16 on a processor that has to imitate it.

    Args:
        precision: `BFLOAT16` or `FLOAT32`.
        device: Where it is trained, ``"cpu"`` or ``"cuda"``.

    Raises:
        SettingsError: If the processor multiplies no bfloat16.
    """
    if precision == BFLOAT16 and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise SettingsError(
            "--precision bfloat16: this processor has no instructions for it (AVX512-BF16, on ARM BF16), and a step "
            "would take about ten times that of float32. Leave --precision out."
        )


class _InFloat32(nn.Module):
    """A loss whose sums are float32, as under autocast on a GPU; a CPU's autocast leaves them as they come."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.loss(output.float(), target)


def train_in(precision: str, trainer: Any) -> None:
    """Let one of our trainers train in a precision; the state of network and optimiser stays float32.

    Args:
        precision: `BFLOAT16`, or `FLOAT32` for what nnU-Net does: half precision on a GPU, none on a CPU.
        trainer: Is initialised here.
    """
    if precision == FLOAT32 or not hasattr(trainer, "autocast"):
        return
    if not trainer.was_initialized:
        trainer.initialize()
    trainer.autocast = partial(torch.autocast, trainer.device.type, torch.bfloat16)
    if isinstance(trainer.loss, DeepSupervisionWrapper):
        trainer.loss.loss = _InFloat32(trainer.loss.loss)
    else:
        trainer.loss = _InFloat32(trainer.loss)
