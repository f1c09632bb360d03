"""What a model wants of images: which modalities, in which orientation, with or without skulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_hetero.cases.geometry import read_geometry
from nnunet_hetero.cases.orientation import UNKNOWN, axis_codes, most_common
from nnunet_hetero.cases.raw_dataset import read_dataset_json
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.checkpoint_content import TrainedFold
from nnunet_hetero.io.checkpoints import load_checkpoint
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.folders import dataset_folders
from nnunet_hetero.nnunet.model_gate import read_model_dataset_json, read_model_plans
from nnunet_hetero.nnunet.regions import Region, regions_of

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Formats of volumes that keep their place in space."""

LOOKED_AT = 20
"""Training images whose headers tell the orientation of a data set."""


@dataclass(frozen=True)
class Target:
    """What a model wants.

    Args:
        modalities: Its channels.
        file_ending: Of its files.
        orientation: Of its training images, such as ``RAS``; None if it is not known, then each case keeps that of its
            reference.
        zero_background: Whether its training images are zero around the head, as they are without skull; None if that
            is not known.
        litres: Volume of the box around what is not zero in the median training image; None if that is not known.
        regions: What it segments: label values by name.
    """

    modalities: Modalities
    file_ending: str = ".nii.gz"
    orientation: str | None = None
    zero_background: bool | None = None
    litres: float | None = None
    regions: Mapping[str, Region] = field(default_factory=dict)

    @classmethod
    def of_model(cls, folder: Path, trusted: bool = False) -> Target:
        """What a trained model wants.

        Args:
            folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
            trusted: Whether the user vouches for the model's files.

        Raises:
            SettingsError: If it is no such folder, a file in it is damaged, or its images are pictures.
        """
        for name in ("dataset.json", "plans.json"):
            if not (folder / name).is_file():
                raise SettingsError(
                    f"{folder} has no {name}, so it is no folder of a trained model. Give nnUNet_results/DATASET/"
                    "TRAINER__PLANS__CONFIGURATION with -m."
                )
        dataset_json = read_model_dataset_json(folder / "dataset.json", trusted)
        plans = read_model_plans(folder / "plans.json", trusted)
        known = []
        for file in sorted(folder.glob("fold_*/checkpoint_*.pth")):
            fold = TrainedFold.of(load_checkpoint(file, trusted=trusted, mmap=True), file)
            known.append(None if fold.orientation == UNKNOWN else fold.orientation)
        return cls._of(dataset_json, plans, most_common(known), folder)

    @classmethod
    def of_dataset(cls, dataset: str) -> Target:
        """What models of a data set are going to want; its plans tell of skulls, if there are any.

        Args:
            dataset: Name or ID.

        Raises:
            SettingsError: If there is no such data set, or its images are pictures.
            DataError: If its dataset.json or an image cannot be read.
        """
        raw, preprocessed = dataset_folders(dataset)
        dataset_json = read_dataset_json(raw)
        plans = sorted(preprocessed.glob("*Plans*.json"))
        images = sorted((raw / "imagesTr").glob(f"*{dataset_json['file_ending']}"))[:LOOKED_AT]
        codes = [axis_codes(read_geometry(file).ras_affine) for file in images]
        return cls._of(dataset_json, read_model_plans(plans[0]) if plans else {}, most_common(codes), raw)

    @classmethod
    def _of(cls, dataset_json: dict[str, Any], plans: dict[str, Any], orientation: str | None, source: Path) -> Target:
        ending = dataset_json["file_ending"]
        if ending not in ENDINGS:
            raise SettingsError(
                f"The images of {source} end in '{ending}'. Cases are prepared for models of volumes that lie in space "
                f"({', '.join(ENDINGS)})."
            )
        labels = LabelManager(dataset_json["labels"], dataset_json.get("regions_class_order"))
        return cls(
            Modalities.from_dataset_json(dataset_json),
            ending,
            orientation,
            _zero_background(plans),
            _litres(plans),
            regions_of(labels),
        )


def _zero_background(plans: Mapping[str, Any]) -> bool | None:
    """nnU-Net normalises inside of what is not zero if cropping to it took off a quarter of the median image."""
    masks = [one["use_mask_for_norm"] for one in plans.get("configurations", {}).values() if "use_mask_for_norm" in one]
    return any(masks[0]) if masks else None


def _litres(plans: Mapping[str, Any]) -> float | None:
    litres = 1.0
    for key in ("original_median_shape_after_transp", "original_median_spacing_after_transp"):
        if key not in plans:
            return None
        for number in plans[key]:
            litres *= float(number)
    return litres / 1e6
