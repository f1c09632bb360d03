"""What is said before a training begins, because it would show after days.

Data that trains to nothing, and data that trains to a model which no one can predict with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunet_hetero.cases.intensities import RawImages
from nnunet_hetero.cases.raw_dataset import training_files
from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.training.memory import describe_peak

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

USUAL_SCALE = (0.05, 20.0)
"""Root mean squares of an image's values that are not 0 with which the network trains; 1 after a z-score, about 0.5
after scaling to 0..1. On phantoms, 150 steps: Dice from all modalities 0.98 at 1 and at 10, 0.71 at 32 and 0.44 at 300;
at 0.01 it is 0.84, and the finest latents say nothing."""

LOOKED_AT = 5
"""Cases whose values are looked at; a scheme of normalisation treats all alike."""


def look_ahead(
    trainer: nnUNetTrainer, training: nnUNetBaseDataset, settings: HeteroModalConfig, lacks_unlabelled: bool
) -> None:
    """Look at what a training is about to learn from, and warn of it in the log.

    Args:
        trainer: Before its first step.
        training: Its training cases, as the network will see them; each has a channel for each modality.
        settings: Of the training.
        lacks_unlabelled: Whether it would learn from cases without a segmentation, and there are none.

    Raises:
        DataError: If a case has not one file for each modality.
    """
    modalities = Modalities.from_dataset_json(trainer.dataset_json)
    require_file_per_modality(modalities, files_by_case(trainer), training.identifiers)
    found = warnings(modalities, trainer.configuration_manager.normalization_schemes, training)
    if lacks_unlabelled:
        found += without_effect(settings)
    for line in found:
        trainer.print_to_log_file(f"WARNING: {line}")
    network = getattr(trainer.network, "module", trainer.network)  # of distributed training
    patch, device = trainer.configuration_manager.patch_size, trainer.device
    trainer.print_to_log_file(describe_peak(network, patch, trainer.batch_size, settings.optimizer, device))


def files_by_case(trainer: nnUNetTrainer) -> dict[str, list[str]]:
    """Image files of the raw cases; none where the raw dataset is not there, which a training does not need.

    Args:
        trainer: Whose dataset.
    """
    folder = RawImages.of_trainer(trainer).folder
    if not folder.is_dir():
        return {}
    try:
        entries = training_files(folder, trainer.dataset_json)
    except OSError:
        return {}
    return {case: entry["images"] for case, entry in entries.items()}


def require_file_per_modality(modalities: Modalities, files: Mapping[str, Sequence[str]], cases: Sequence[str]) -> None:
    """Refuse images with several channels in one file, on which nnU-Net trains.

    A modality is absent where its file is, so a prediction looks for a file for each.

    Args:
        modalities: The dataset's.
        files: The images of the cases; of cases that are not in it nothing is known.
        cases: Those that are trained on.

    Raises:
        DataError: If a case has another number of files than modalities.
    """
    for case in cases:
        found = [Path(file).name for file in files.get(case, ())]
        if case in files and len(found) != len(modalities):
            raise DataError(
                f"Case '{case}' has {len(found)} image file(s) ({', '.join(found) or 'none'}), and dataset.json names "
                f"{len(modalities)} modalities ({', '.join(modalities.names)}). nnU-Net takes several channels from "
                "one file (RGB, 4D), but a modality that may be absent needs a file of its own: no one could predict "
                "with the model. Write each channel to its own file, CASE_0000, CASE_0001 and so on; if files are "
                "missing, fill the gaps (nnunet_hetero fill-gaps). Then plan and preprocess again "
                "(nnUNetv2_plan_and_preprocess)."
            )


def warnings(modalities: Modalities, schemes: Sequence[str], training: nnUNetBaseDataset) -> list[str]:
    """What trains, but probably not to what the user wants.

    Args:
        modalities: The dataset's.
        schemes: nnU-Net's normalisation of each.
        training: The cases, as the network will see them.
    """
    lines = []
    if len(modalities) == 1:
        lines.append(
            f"the data set has one modality ({modalities.names[0]}), so that none can be missing. nnU-Net's own "
            "trainer (-tr nnUNetTrainer) is made for this."
        )
    for channel, scale in scales(training, len(modalities)).items():
        if not USUAL_SCALE[0] <= scale <= USUAL_SCALE[1]:
            lines.append(describe_scale(modalities.names[channel], schemes[channel], scale))
    return lines


def without_effect(settings: HeteroModalConfig) -> list[str]:
    """What is set for cases without a segmentation, where none is trained on.

    Args:
        settings: Of the training.
    """
    share = settings.unlabelled_share or None  # 0 asks for none of them
    asked = {"unlabelled_share": share, "distil_unlabelled_after": settings.distil_unlabelled_after}
    return [
        f"{KEY}.{name} is {value}, and every case that is trained on has a segmentation: it changes nothing."
        for name, value in asked.items()
        if value is not None
    ]


def describe_scale(name: str, scheme: str, scale: float) -> str:
    """Words for a modality whose values are far from those that the network is made for.

    Args:
        name: The modality.
        scheme: nnU-Net's normalisation of it.
        scale: Root mean square of its values.
    """
    return (
        f"the values of {name} are about {scale:.2g} once preprocessed ({scheme}); the network is made for values of "
        "about 1 and would learn little from it, and completed images would be worth nothing. nnU-Net chooses the "
        "normalisation by the channel's name: none for 'noNorm', that of CT for 'CT', the z-score for nearly every "
        "other. Rename the channel in dataset.json, then plan and preprocess again (nnUNetv2_plan_and_preprocess)."
    )


def scales(training: nnUNetBaseDataset, num_modalities: int) -> dict[int, float]:
    """Root mean square of the values that are not 0, by channel, over a few cases that have it.

    Args:
        training: The cases, as the network will see them.
        num_modalities: M.
    """
    squares: dict[int, list[float]] = {}
    for case in training.identifiers[:LOOKED_AT]:
        images = training.load_case(case)[0]
        for channel in range(num_modalities):
            values = np.asarray(images[channel], dtype=np.float64)
            values = values[values != 0]
            if values.size:
                squares.setdefault(channel, []).append(float(np.mean(values**2)))
    return {channel: float(np.sqrt(np.mean(found))) for channel, found in sorted(squares.items())}
