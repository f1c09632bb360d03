"""The histogram landmarks of a fold: learned on its training cases, applied to all cases that a training loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnunet_hetero.cases.histogram import (
    Landmarks,
    Statistics,
    preprocessed_landmarks,
    standard_scale,
    standardised_channels,
)
from nnunet_hetero.cases.intensities import RawImages, cache_of, case_statistics
from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.protocols import TrainerOfFold
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.data.inputs import InputRules, normalised_zeros


def input_rules(
    trainer: TrainerOfFold, config: HeteroModalConfig, ranks: Ranks, landmarks: Landmarks | None = None
) -> tuple[InputRules, Landmarks | None]:
    """How a fold's cases become inputs.

    Args:
        trainer: On its way into training or validation.
        config: Whether histograms are standardised.
        ranks: All processes of the training; the first reads the raw images.
        landmarks: Those that a checkpoint has; None learns them on the training cases, if the settings ask for it.

    Returns:
        The rules, and the landmarks.

    Raises:
        SettingsError: If landmarks are asked for and the raw images cannot be read, or no channel has any.
    """
    configuration = trainer.configuration_manager
    zeros = normalised_zeros(configuration, trainer.plans_manager.foreground_intensity_properties_per_channel)
    masked = tuple(configuration.use_mask_for_norm)
    if not config.histogram_standardisation:
        return InputRules(zeros, masked), landmarks
    modalities = Modalities.from_dataset_json(trainer.dataset_json)
    training, validation = trainer.do_split()
    statistics = _statistics(trainer, sorted({*training, *validation}), ranks)
    if landmarks is None:
        landmarks = _learn(trainer, modalities, [statistics[case] for case in training])
    channels = {modalities.index(name): name for name in landmarks}
    of_cases = {case: _landmarks_of_case(images, channels) for case, images in statistics.items()}
    standard = {channel: landmarks[name] for channel, name in channels.items()}
    return InputRules(zeros, masked, of_cases, standard), landmarks


def _landmarks_of_case(images: Mapping[str, Statistics], channels: Mapping[int, str]) -> dict[int, np.ndarray]:
    return {channel: preprocessed_landmarks(images[name]) for channel, name in channels.items() if name in images}


def _learn(trainer: TrainerOfFold, modalities: Modalities, cases: Sequence[Mapping[str, Statistics]]) -> Landmarks:
    found = {}
    for channel in standardised_channels(range(len(modalities)), trainer.configuration_manager):
        name = modalities.names[channel]
        having = [images[name] for images in cases if name in images]
        scale = standard_scale(having)
        if scale:
            found[name] = scale
            trainer.print_to_log_file(f"Histogram landmarks of {name}: learned on {len(having)} training case(s).")
    if not found:
        raise SettingsError(
            "hetero_modal.histogram_standardisation is true, but no channel has the z-score of MR images (the plans' "
            f"normalization_schemes are {', '.join(trainer.configuration_manager.normalization_schemes)}). Set it to "
            "false."
        )
    return found


def _statistics(trainer: TrainerOfFold, cases: list[str], ranks: Ranks) -> dict[str, dict[str, Statistics]]:
    raw = RawImages.of_trainer(trainer)
    try:
        # The first rank reads the images, the others what it has kept of them.
        statistics = ranks.first_before_others(
            lambda: case_statistics(raw, cases, cache_of(trainer), progress=ranks.is_first)
        )
        absent = [case for case in cases if case not in statistics]
        if absent:
            raise OSError(f"no images of case '{absent[0]}'")
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            "hetero_modal.histogram_standardisation is true, which takes the histograms of the raw images, but those "
            f"in {raw.folder} cannot be read ({error}). Put them back, or set it to false."
        ) from error
    return statistics
