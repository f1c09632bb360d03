"""The calibration in a model's folder, and whether it holds for what predicts now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.model.digests import digest_of_json, digest_of_weights
from nnunet_hetero.inference.model.model_folder import TrainedModel
from nnunet_hetero.reliability.calibration_file import FILE_NAME, TOGETHER, CalibratedModel, Calibration
from nnunet_hetero.reliability.intervals import CalibrationInUse

AGAIN = "Calibrate again: nnunet_hetero calibrate."

WAYS = {
    "num_samples": "--num_samples was",
    "mirroring_axes": "axes that were mirrored (none with --disable_tta):",
    "step_size": "-step_size was",
}
"""What must be at a prediction as it was at the calibration, in words."""


class ModelCalibration:
    """What a model's folder says of its calibration. Whatever is wrong with it, it is a sentence, never an error.

    Args:
        trained: The model, as it was loaded.
    """

    def __init__(self, trained: TrainedModel):
        self.trained = trained

    @cached_property
    def content(self) -> Calibration | str:
        """That of the file, or why there is none."""
        file = Path(self.trained.folder) / FILE_NAME
        if not file.is_file():
            if issubclass(self.trained.plans_manager.image_reader_writer_class, NaturalImage2DIO):
                return "The model is for pictures such as PNG, which do not say how large a pixel is."
            return f"The model is not calibrated ({file} is not there). To calibrate it: nnunet_hetero calibrate."
        try:
            return Calibration.read(file)
        except DataError as error:
            return str(error)

    @cached_property
    def weights(self) -> list[str]:
        """Digest of each fold's weights."""
        return [digest_of_weights([weights]) for weights in self.trained.parameters]

    def describe(self, model: LoadedModel, folds: Sequence[str]) -> CalibratedModel:
        """The model as a calibration names it.

        Args:
            model: The same, as it predicts.
            folds: Names of the folds, in the order in which they were loaded.
        """
        axes = model.tiles.mirroring_axes
        return CalibratedModel(
            self.trained.trainer_name,
            digest_of_json(self.trained.plans_manager.plans),
            dict(zip(folds, self.weights, strict=True)),
            model.sampling.num_samples,
            None if axes is None else list(axes),
            model.tiles.step,
        )

    def in_use(self, model: LoadedModel) -> tuple[CalibrationInUse | None, str]:
        """The calibration for a prediction, or why there is none for it.

        Args:
            model: The model, as it predicts.

        Returns:
            The calibration and "", or None and a sentence.
        """
        calibration = self.content
        if isinstance(calibration, str):
            return None, calibration
        if set(calibration.scores) == set(model.regions):  # whoever saves a file anew may sort its keys
            in_order = {region: calibration.scores[region] for region in model.regions}
            calibration = replace(calibration, scores=in_order)
        file = Path(self.trained.folder) / FILE_NAME
        own = self.describe(model, [str(number) for number in range(len(self.weights))])
        if own.plans != calibration.model.plans:
            return None, f"{file} is the calibration of another model: its plans are others. {AGAIN}"
        if not model.tiles.gaussian:
            return (
                None,
                f"{file} is of another way to predict: tiles had Gaussian weights then, and have none now.",
            )
        for key, what in WAYS.items():
            then, now = getattr(calibration.model, key), getattr(own, key)
            if then != now:
                return None, (
                    f"{file} is of another way to predict: {what} {_in_words(then)} then, now {_in_words(now)}. "
                    "Predict as then, or calibrate again as now: nnunet_hetero calibrate."
                )
        for what, of_model, of_file in (
            ("modalities", list(model.modalities.names), calibration.modalities),
            ("regions", list(model.regions), calibration.regions),
        ):
            if of_model != of_file:
                return None, (
                    f"{file} is the calibration of another model: its {what} are {', '.join(of_file)}, those of "
                    f"the model {', '.join(of_model)}. {AGAIN}"
                )
        folds = _folds_of(self.weights, calibration.model.weights)
        if None in folds:
            return None, f"{file} is the calibration of another model: it does not know the weights of a fold. {AGAIN}"
        if not calibration.together:
            return CalibrationInUse(calibration, tuple(map(str, folds))), ""
        if len(folds) != len(calibration.model.weights):
            together = ", ".join(calibration.model.weights)
            return None, f"{file} is of the folds {together} together. Predict with all of them, or calibrate again."
        # The fold that looked at the images then looks now, whatever the order in which they are loaded.
        return CalibrationInUse(calibration, (TOGETHER,), folds.index(next(iter(calibration.model.weights)))), ""


def _in_words(value: float | Sequence[int] | None) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, (int, float)) else ", ".join(map(str, value))


def _folds_of(weights: Sequence[str], known: dict[str, str]) -> list[str | None]:
    """Which calibrated fold each of the loaded ones is, none of them twice; None for one that is not known."""
    free = dict(known)
    found: list[str | None] = []
    for digest in weights:
        fold = next((name for name, other in free.items() if other == digest), None)
        if fold is not None:
            del free[fold]
        found.append(fold)
    return found
