"""What a prediction computes for one case, and what the user may ask of it: the interface of computing and writing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.reliability.calibration_file import Calibration
from nnunet_hetero.reliability.input_verdict import InputVerdict
from nnunet_hetero.reliability.quality import knows_signs

COMPLETED_CHOICES = ("missing", "all")


@dataclass(frozen=True)
class SamplingOptions:
    """How many draws of the latents are averaged, and what is kept besides the segmentation.

    Args:
        num_samples: S, draws of the latents per case and fold. With mirroring they are spread over the mirrored views,
            each view gets ceil(S / views). 0 decodes the posterior's mean, once per view.
        seed: Together with the case's name it settles every draw, whatever the order of the cases.
        save_completed: Which modalities to complete: None, ``missing`` ones, or ``all`` (with reconstructions of those
            that are there).
        save_uncertainty: Whether to keep maps of uncertainty.
        calibrated: Whether entropies and saved probabilities are at the temperatures of the model's calibration.

    Raises:
        SettingsError: If a value is impossible.
    """

    num_samples: int = 10
    seed: int = 0
    save_completed: str | None = None
    save_uncertainty: bool = False
    calibrated: bool = False

    def __post_init__(self) -> None:
        for flag in ("num_samples", "seed"):
            value = getattr(self, flag)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise SettingsError(f"--{flag} is {value!r}; it must be a whole number, 0 or more.")
        if self.save_completed not in (None, *COMPLETED_CHOICES):
            raise SettingsError(f"--save_completed is {self.save_completed!r}; it must be 'missing' or 'all'.")


@dataclass(frozen=True)
class Demands:
    """What a prediction has to come up to; needs a calibrated model.

    Args:
        min_dice: Dice that a region should have at least: cases whose lower bound is below it are to be looked at. None
            for no such wish.
        refuse_suspicious: Whether a case fails whose images do not look like what their names say.

    Raises:
        SettingsError: If the Dice is none.
    """

    min_dice: float | None = None
    refuse_suspicious: bool = False

    def __post_init__(self) -> None:
        if self.min_dice is not None and not 0 < self.min_dice <= 1:
            raise SettingsError(f"--min_dice is {self.min_dice}; it must be above 0 and at most 1, e.g. 0.7.")

    @property
    def flags(self) -> list[str]:
        """Those that the user gave."""
        given = {"--min_dice": self.min_dice is not None, "--refuse_suspicious": self.refuse_suspicious}
        return [flag for flag, is_given in given.items() if is_given]

    def require(self, calibration: Calibration) -> None:
        """Refuse demands that a calibration cannot serve.

        Raises:
            SettingsError: If the calibration cases were too few for what is demanded.
        """
        known = {"--min_dice": knows_signs(calibration.quality), "--refuse_suspicious": calibration.input_checks}
        for flag in self.flags:
            if not known[flag]:
                raise SettingsError(
                    f"{flag}: the model's calibration knows nothing about it, since it rests on {calibration.patients} "
                    "patient(s) or is of an earlier version. Calibrate again on more cases, or leave the flag out."
                )


@dataclass(frozen=True)
class Statement:
    """What one fold, or all of them together, says of each region of a case, on the preprocessed grid.

    Args:
        sizes: Of the segmentation, ``(R,)``, millilitres, of a 2D image mm²; NaN if nobody knows the size of a pixel.
        disagreement: ``(R,)``, 1 - Dice between the draws (without draws: the mirrored views) and the segmentation of
            their mean.
        expected_dice: ``(R,)``, of the segmentation with a truth drawn from the mean probability, see
            `nnunet_hetero.inference.engine.region_signs`.
        softened_dice: ``(R,)``, the same from softened probabilities.
        surface: ``(R,)``, the part of the segmentation's voxels that lie on its surface.
    """

    sizes: np.ndarray
    disagreement: np.ndarray
    expected_dice: np.ndarray
    softened_dice: np.ndarray
    surface: np.ndarray


@dataclass(frozen=True)
class CasePrediction:
    """What the network says about one case, on the preprocessed grid. R regions, or foreground labels without regions.

    Args:
        used: The channels that the case was encoded from.
        draws: Number of draws that were averaged, over all folds; 0 if it was the posterior's mean.
        logits: ``(K, *spatial)`` float32, the inverse of nnU-Net's nonlinearity applied to the mean probability, so
            that nnU-Net's export (softmax or sigmoid) gives that back.
        completion: ``(len(completed), *spatial)`` float32, images in preprocessed units; None if not asked for.
        completed: Which channels `completion` holds, ascending.
        entropy: ``(R, *spatial)`` float32, predictive entropy in nats; None if not asked for.
        mutual_information: ``(R, *spatial)`` float32, what the draws disagree about, in nats, at most the entropy;
            None if not asked for, or without draws.
        volumes: ``(draws, R)``, millilitres per draw and region, of a 2D image mm², or NaN if nobody knows the size of
            a pixel; None without draws.
        statement: What all folds say together; None if nobody asked for it.
        of_folds: What each fold says alone; empty likewise.
        inputs: What the checks of the input say of each image; empty without a calibration that holds such checks.
    """

    used: tuple[int, ...]
    draws: int
    logits: np.ndarray
    completion: np.ndarray | None = None
    completed: tuple[int, ...] = ()
    entropy: np.ndarray | None = None
    mutual_information: np.ndarray | None = None
    volumes: np.ndarray | None = None
    statement: Statement | None = None
    of_folds: tuple[Statement, ...] = ()
    inputs: tuple[InputVerdict, ...] = ()

    @property
    def disagreement(self) -> np.ndarray | None:
        """``(R,)``, 1 - Dice between the draws and the segmentation of their mean; None without draws."""
        return None if self.statement is None or not self.draws else self.statement.disagreement
