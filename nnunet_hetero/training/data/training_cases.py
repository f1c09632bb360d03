"""The cases that a fold trains on, which modalities each of them has, and how often each is sampled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from tqdm import tqdm

from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities, Subset, mask_of
from nnunet_hetero.nnunet.protocols import LogOfFold


@dataclass(frozen=True)
class Cohort:
    """Which modalities each case has.

    Args:
        modalities: The dataset's modalities.
        cases: What each case has, by its identifier.
    """

    modalities: Modalities
    cases: Mapping[str, Subset]

    @classmethod
    def read(cls, modalities: Modalities, dataset: nnUNetBaseDataset, progress: bool = True) -> Cohort:
        """Look at the preprocessed images: a modality is absent in a case when its channel is identically zero.

        Args:
            modalities: The dataset's modalities.
            dataset: nnU-Net's; what it loads is what a training sees.
            progress: Whether to show a progress bar.

        Raises:
            DataError: If an image has values that are not finite, or a case another number of channels.
        """
        cases = {}
        for case in tqdm(dataset.identifiers, "Modalities of the training cases", disable=not progress):
            images = dataset.load_case(case)[0]
            if images.shape[0] != len(modalities):
                raise DataError(
                    f"Case '{case}' has {images.shape[0]} channel(s) once preprocessed, and dataset.json names "
                    f"{len(modalities)} modalities ({', '.join(modalities.names)}). Mend channel_names, or fill gaps "
                    "with all-zero volumes (nnunet_hetero fill-gaps), and preprocess again "
                    "(nnUNetv2_plan_and_preprocess)."
                )
            for channel, name in enumerate(modalities.names):
                # A z-score spreads one bad voxel over all of them, so that one slice tells.
                if not np.isfinite(images[channel, images.shape[1] // 2]).all():
                    raise DataError(
                        f"Case '{case}': {name} has values that are NaN or infinite once preprocessed. Mend the image "
                        "in nnUNet_raw and preprocess again (nnUNetv2_preprocess)."
                    )
            cases[case] = tuple(channel for channel in range(len(modalities)) if _has_content(images, channel))
        return cls(modalities, cases)

    def subset_counts(self) -> Counter[Subset]:
        """How many cases have exactly each subset."""
        return Counter(self.cases.values())

    def modality_counts(self) -> list[int]:
        """How many cases have each modality, in channel order."""
        return self._table().sum(axis=0).tolist()

    def present(self, cases: Iterable[str]) -> np.ndarray:
        """What each of some cases has, ``(B, M)`` bool."""
        return np.array([mask_of(self.cases[case], len(self.modalities)) for case in cases])

    def balanced_probabilities(self, cases: Sequence[str]) -> list[float]:
        """Probability of each case under the draw: first a modality, uniformly, then one of the cases that have it.

        So each modality is in at least one of M samples, however rare it is, and no case is left out. With complete
        cases only, all have the same probability. Equal frequencies of all modalities are no aim: where one is in
        every case, only complete cases would be left.

        Args:
            cases: Identifiers in the order that is asked for, all of this cohort's.
        """
        present = self.present(cases)
        counts = present.sum(axis=0)
        possible = counts > 0
        weights = (present[:, possible] / counts[possible]).sum(axis=1) / possible.sum()
        return (weights / weights.sum()).tolist()

    def describe(self) -> list[str]:
        """Lines for the log: how many cases have each modality and each subset."""
        modalities = zip(self.modalities.names, self.modality_counts(), strict=True)
        subsets = self.subset_counts().most_common()
        return [
            f"Training cases: {len(self.cases)}. With each modality: "
            + ", ".join(f"{name} {count}" for name, count in modalities),
            "With exactly these modalities: "
            + ", ".join(f"{self.modalities.label(subset)} {count}" for subset, count in subsets),
        ]

    def describe_probabilities(self, probabilities: Sequence[float]) -> str:
        """A line for the log: how often a sample has each modality, if cases come with these probabilities."""
        expected = zip(self.modalities.names, np.asarray(probabilities) @ self._table(), strict=True)
        return "Cases are sampled with different probabilities. Samples that will have each modality: " + ", ".join(
            f"{name} {100 * share:.0f} %" for name, share in expected
        )

    def _table(self) -> np.ndarray:
        return self.present(self.cases)


def read_training_cohort(
    trainer: LogOfFold, training: nnUNetBaseDataset, validation: nnUNetBaseDataset, progress: bool = False
) -> Cohort:
    """Look at the cases that a fold trains on, and say in the log what they have.

    Args:
        trainer: Whose log.
        training: nnU-Net's dataset of the cases that are trained on.
        validation: That of the others.
        progress: Whether to show a progress bar.

    Raises:
        DataError: If a training case has no modality, values that are not finite or another number of channels, or a
            modality is neither in a training nor in a validation case.
    """
    modalities = Modalities.from_dataset_json(trainer.dataset_json)
    cohort = Cohort.read(modalities, training, progress)
    empty = [f"'{case}'" for case, subset in cohort.cases.items() if not subset]
    if empty:
        raise DataError(
            f"Fold {trainer.fold}: all channels of {', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''} are zero, "
            f"so there is nothing to train on ({len(empty)} of {len(cohort.cases)} training cases). A case may lack "
            "modalities, but it must have at least one. Leave it out of splits_final.json, or mend its images in "
            "nnUNet_raw and preprocess again (nnUNetv2_preprocess)."
        )
    for line in cohort.describe():
        trainer.print_to_log_file(line)
    for case, channels in getattr(training, "constant", {}).items():
        trainer.print_to_log_file(
            f"WARNING: case '{case}': {modalities.label(channels)} has one value throughout, not 0. It counts as "
            "absent, but nnU-Net has cropped by it. Delete its file, fill the gap (nnunet_hetero fill-gaps) and "
            "preprocess again."
        )
    unseen = [channel for channel, count in enumerate(cohort.modality_counts()) if count == 0]
    if unseen:
        elsewhere = Cohort.read(modalities, validation, progress=False).modality_counts()
        nowhere = [channel for channel in unseen if elsewhere[channel] == 0]
        if nowhere:
            raise DataError(
                f"Fold {trainer.fold}: no case has {modalities.label(nowhere)}; the channel is zero in all training "
                "and validation cases. No model learns what it never sees: add cases that have it, or make the dataset "
                "without this channel."
            )
        trainer.print_to_log_file(
            f"WARNING: no training case of fold {trainer.fold} has {modalities.label(unseen)}, only validation cases "
            "do. The model will learn neither to read nor to complete it. Spread it over the folds "
            "(splits_final.json)."
        )
    return cohort


def _has_content(images: Any, channel: int) -> bool:
    # Nearly every image has content in its middle; the rest of a compressed file need not be read then.
    middle = images.shape[1] // 2
    return bool(np.any(images[channel, middle])) or bool(np.any(images[channel]))
