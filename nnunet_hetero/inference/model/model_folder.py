"""A trained model's folder: whether all of it is there, and loading it."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_hetero.cases.histogram import Landmarks, mean_landmarks
from nnunet_hetero.cases.intensity_scale import Moments, mean_moments
from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.cases.preparation import landmarks_unknown, standardises
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.as_trained import require_as_trained
from nnunet_hetero.inference.model.checkpoint_content import TrainedFold
from nnunet_hetero.io.checkpoints import load_checkpoint
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.model_gate import read_model_dataset_json, read_model_plans


def checked_folds(
    folder: str | os.PathLike, folds: Sequence[int | str] | int | str | None, checkpoint_name: str
) -> list[int | str]:
    """The folds as a list, after a look whether all files of the model are there.

    Args:
        folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: One or several; None takes all that have the checkpoint.
        checkpoint_name: File name of the checkpoint.

    Raises:
        SettingsError: If the folder or one of its files does not exist, or a fold is named twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(
            f"There is no trained model at {folder}. Its path is made of the environment variable nnUNet_results, the "
            "dataset (-d), the trainer (-tr), the plans (-p) and the configuration (-c). Check each, or train the "
            "model first."
        )
    for name in ("dataset.json", "plans.json"):
        if not (folder / name).is_file():
            raise SettingsError(f"The model folder {folder} has no {name}. Copy it with the rest of the model.")
    if folds is None:
        with contextlib.redirect_stdout(io.StringIO()):  # nnU-Net prints what it finds
            chosen: list[int | str] = nnUNetPredictor.auto_detect_available_folds(str(folder), checkpoint_name)
    else:
        chosen = [folds] if isinstance(folds, (int, str)) else list(folds)
    twice = [fold for fold, number in Counter(map(str, chosen)).items() if number > 1]
    if twice:
        raise SettingsError(f"Fold {twice[0]} is named more than once (-f); it would count as several. Name it once.")
    absent = [fold for fold in chosen if not (folder / f"fold_{fold}" / checkpoint_name).is_file()]
    if absent or not chosen:
        there = sorted(str(file.relative_to(folder)) for file in folder.glob("fold_*/*.pth"))
        raise SettingsError(
            f"The model folder {folder} has no {checkpoint_name} for fold(s) {', '.join(map(str, absent)) or 'any'}. "
            f"It has: {', '.join(there) or 'no checkpoint at all'}. Choose with -f and -chk."
        )
    return chosen


@dataclass(frozen=True)
class TrainedModel:
    """What the folder of a trained model holds.

    Args:
        folder: Where it lies, an absolute path.
        configuration: Name of the configuration that was trained.
        network: With the weights of the first fold.
        plans_manager: nnU-Net's, of ``plans.json``.
        configuration_manager: nnU-Net's, of the configuration that was trained.
        parameters: Weights of each fold.
        dataset_json: Content of ``dataset.json``.
        trainer_name: Name of the trainer.
        mirroring_axes: Axes along which the training mirrored, None for no mirroring.
        checkpoints: The folds' checkpoints.
        intensity: Mean and standard deviation of the training images by modality, the mean over the folds; None if the
            model was trained without. See `nnunet_hetero.cases.intensities`.
        landmarks: Histogram landmarks that its inputs are standardised to, the mean over the folds; None if they are
            not. See `nnunet_hetero.cases.histogram`.
        orientation: Of its training images, such as ``RAS``; None if they had none, or if it is not known.
    """

    folder: str
    configuration: str
    network: HeteroNetwork
    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    parameters: list[dict]
    dataset_json: dict
    trainer_name: str
    mirroring_axes: tuple[int, ...] | None
    checkpoints: tuple[Path, ...]
    intensity: Moments | None
    landmarks: Landmarks | None
    orientation: str | None

    @property
    def description(self) -> dict[str, str]:
        """Which model it is, for the books."""
        return {
            "folder": self.folder,
            "trainer": self.trainer_name,
            "plans": self.plans_manager.plans_name,
            "configuration": self.configuration,
        }


def load_model(
    folder: str | os.PathLike, folds: Sequence[int | str], checkpoint_name: str, trusted: bool = False
) -> TrainedModel:
    """Load a model as nnU-Net's predictor does, but no code that a checkpoint or the plans may bring along.

    Args:
        folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: See `checked_folds`.
        checkpoint_name: File name of the checkpoint.
        trusted: Whether the user vouches for the model's files.

    Raises:
        SettingsError: If a file is damaged or refused, the trainer is not found or none of ours, or the plans do not
            fit the weights.
    """
    folder = Path(folder)
    files = tuple(folder / f"fold_{fold}" / checkpoint_name for fold in folds)
    plans = read_model_plans(folder / "plans.json", trusted)
    dataset_json = read_model_dataset_json(folder / "dataset.json", trusted)
    checkpoints = [TrainedFold.of(load_checkpoint(file, trusted=trusted), file) for file in files]
    first = checkpoints[0]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # nnU-Net prints where it searches
            trainer = recursive_find_trainer_class_by_name(first.trainer)
    except (RuntimeError, AssertionError, TypeError) as error:  # nnU-Net takes anything of that name for a trainer
        raise SettingsError(
            f"nnU-Net does not find the trainer '{first.trainer}' that {files[0]} names: {error} Run: nnunet_hetero "
            "doctor"
        ) from error
    if "plans_manager" not in inspect.signature(trainer.build_network_architecture).parameters:
        raise _not_ours(first.trainer, folder)
    require_as_trained(folder, plans, dataset_json, checkpoints)
    plans_manager = PlansManager(plans)
    configuration_manager = plans_manager.get_configuration(first.configuration)
    network = trainer.build_network_architecture(
        plans_manager,
        configuration_manager,
        determine_num_input_channels(plans_manager, configuration_manager, dataset_json),
        plans_manager.get_label_manager(dataset_json).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    if not isinstance(network, HeteroNetwork):
        raise _not_ours(first.trainer, folder)
    for file, checkpoint in reversed(list(zip(files, checkpoints, strict=True))):
        try:
            network.load_state_dict(checkpoint.weights)
        except RuntimeError as error:
            trained = Modalities.from_dataset_json(checkpoint.dataset_json)
            raise SettingsError(
                f"The weights in {file} do not fit the network that plans.json and dataset.json in {folder} describe. "
                f"They were trained by {checkpoint.trainer} on {len(trained)} modalities ({', '.join(trained.names)}). "
                "Put back the plans.json and dataset.json that the training wrote."
            ) from error
    return TrainedModel(
        os.path.abspath(folder),
        first.configuration,
        network,
        plans_manager,
        configuration_manager,
        [checkpoint.weights for checkpoint in checkpoints],
        dataset_json,
        first.trainer,
        first.mirroring_axes,
        files,
        mean_moments([checkpoint.intensity for checkpoint in checkpoints if checkpoint.intensity]) or None,
        _landmarks(files, checkpoints, configuration_manager),
        _orientation(folder, checkpoints),
    )


def _orientation(folder: Path, checkpoints: Sequence[TrainedFold]) -> str | None:
    """That of the folds that know it; None, and a line that says so, if none does."""
    known = [checkpoint.orientation for checkpoint in checkpoints if checkpoint.orientation != UNKNOWN]
    if not known:
        print(
            f"The model in {folder} was trained by an earlier version and does not say which orientation its training "
            "images have: each case is taken as its files store it, which must be as the training images were stored."
        )
        return None
    return known[0]


def _landmarks(
    files: Sequence[Path], checkpoints: Sequence[TrainedFold], configuration_manager: ConfigurationManager
) -> Landmarks | None:
    """The mean over the folds; None if the model does not standardise histograms."""
    if not standardises(configuration_manager):
        return None
    without = [str(file) for file, checkpoint in zip(files, checkpoints, strict=True) if not checkpoint.landmarks]
    if without:
        raise landmarks_unknown(f"The checkpoint {', '.join(without)} has no hetero_modal.landmarks")
    return mean_landmarks([checkpoint.landmarks for checkpoint in checkpoints if checkpoint.landmarks])


def _not_ours(trainer: str, folder: Path) -> SettingsError:
    return SettingsError(
        f"The checkpoint in {folder} is of the trainer '{trainer}', which cannot handle missing modalities. Choose a "
        "model of a hetero-modal trainer with -tr, e.g. -tr HeteroModalVAETrainer."
    )
