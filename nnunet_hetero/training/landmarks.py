"""The histogram landmarks of a fold: learned on its training cases, applied to all cases that a training loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import distributed as dist

from nnunet_hetero.cases.histogram import (
    Landmarks,
    Statistics,
    preprocessed_landmarks,
    standard_scale,
    standardised_channels,
)
from nnunet_hetero.cases.intensities import RawImages, cache_of, case_statistics
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.inputs import InputRules, normalised_zeros

if TYPE_CHECKING:
    from nnunet_hetero.training.hetero_trainer import HeteroTrainer


def input_rules(trainer: HeteroTrainer) -> InputRules:
    """How a trainer's cases become inputs; learns the fold's landmarks if the settings ask for it and it has none yet.

    Args:
        trainer: On its way into training or validation; its ``landmarks`` are set.

    Raises:
        SettingsError: If landmarks are asked for and the raw images cannot be read, or no channel has any.
    """
    configuration = trainer.configuration_manager
    zeros = normalised_zeros(configuration, trainer.plans_manager.foreground_intensity_properties_per_channel)
    masked = tuple(configuration.use_mask_for_norm)
    if not trainer.hetero.histogram_standardisation:
        return InputRules(zeros, masked)
    modalities = trainer.modalities
    training, validation = trainer.do_split()
    statistics = _statistics(trainer, sorted({*training, *validation}))
    if trainer.landmarks is None:
        trainer.landmarks = _learn(trainer, [statistics[case] for case in training])
    channels = {modalities.index(name): name for name in trainer.landmarks}
    landmarks = {
        case: {channel: preprocessed_landmarks(images[name]) for channel, name in channels.items() if name in images}
        for case, images in statistics.items()
    }
    return InputRules(
        zeros, masked, landmarks, {channel: trainer.landmarks[name] for channel, name in channels.items()}
    )


def _learn(trainer: HeteroTrainer, cases: list[dict[str, Statistics]]) -> Landmarks:
    modalities = trainer.modalities
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


def _statistics(trainer: HeteroTrainer, cases: list[str]) -> dict[str, dict[str, Statistics]]:
    raw = RawImages.of_trainer(trainer)
    # The first rank reads the images, the others what it has kept of them.
    if trainer.is_ddp and trainer.local_rank != 0:
        dist.barrier()
    try:
        statistics = case_statistics(raw, cases, cache_of(trainer), progress=trainer.local_rank == 0)
        absent = [case for case in cases if case not in statistics]
        if absent:
            raise OSError(f"no images of case '{absent[0]}'")
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            "hetero_modal.histogram_standardisation is true, which takes the histograms of the raw images, but those "
            f"in {raw.folder} cannot be read ({error}). Put them back, or set it to false."
        ) from error
    if trainer.is_ddp and trainer.local_rank == 0:
        dist.barrier()
    return statistics
