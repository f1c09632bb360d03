"""What the demo makes, and what the user may change of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.errors import SettingsError

DATASET, HELD_OUT_DATASET = 501, 502
NAME, HELD_OUT_NAME = "Phantom", "PhantomHeldOut"
CONFIGURATION, FOLD, TRAINER, PLANS = "3d_fullres", "0", "HeteroModalVAETrainer", "nnUNetPlansDemo"
HELD_OUT = 8
MARKER = "demo.json"
INTERMEDIATE = ("cohort", "nnUNet_preprocessed")

NARROW_FEATURES = (16, 32, 64, 96)
"""Half the width that nnU-Net plans, so that a CPU trains in minutes."""

PATCH = 32
"""Largest edge of a training patch, in voxels: more and smaller steps learn more in the same time."""

INCOMPLETE = 1 / 3
"""Share of training cases that lack modalities, with ``--incomplete``."""

LEVEL = 0.8
"""Of the intervals of volumes: 0.9 needs nine patients, and the fold validates on six."""

BARS = {"all": (0.88, 0.75, 0.65), "mean": (0.75, 0.55, 0.40)}
"""Mean Dice of whole tumour, tumour core and enhancing tumour to expect of the default settings on the held-out cases,
with all modalities and over all subsets."""


@dataclass(frozen=True)
class DemoSettings:
    """What the user may change.

    Args:
        out: Output folder.
        epochs: Epochs of training.
        cases: Phantoms to train and validate on; eight more are held out.
        size: Edge of a phantom, in voxels.
        keep: Whether to keep the raw cohort and the preprocessed data.
        incomplete: Whether a third of the training cases lack modalities.
    """

    out: Path
    epochs: int = 10
    cases: int = 30
    size: int = 48
    keep: bool = False
    incomplete: bool = False

    iterations_per_epoch = 40
    validation_iterations = 15

    def __post_init__(self) -> None:
        for name, least, why in (
            ("epochs", 1, "training needs one"),
            ("cases", 5, "nnU-Net's five folds need one case each"),
            ("size", 24, "a smaller phantom has no room for a tumour"),
        ):
            if getattr(self, name) < least:
                raise SettingsError(f"--{name} is {getattr(self, name)}; it must be at least {least}: {why}.")
