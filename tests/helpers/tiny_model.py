"""A trained model's folder without training: tiny plans, random weights, a small dataset around it.

`write_tiny_model` makes ``raw``, ``preprocessed`` and ``results`` folders as nnU-Net lays them out, with one dataset of
four modalities and nested regions (as BraTS), its plans, its splits, and a checkpoint per fold. Weights are random but
seeded, so that predictions differ between subsets and repeat between runs. `write_case` writes images and a label.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.network.image_decoder import SubsetOutput

CHANNELS = ("T1", "T1c", "T2", "FLAIR")
REGIONS = {"whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
SHAPE = (20, 18, 22)
DATASET = "Dataset501_Tiny"
CONFIGURATION = "3d_fullres"


@dataclass(frozen=True)
class TinyModel:
    """Where a tiny model and its dataset lie.

    Args:
        raw: Folder for ``nnUNet_raw``.
        preprocessed: Folder for ``nnUNet_preprocessed``.
        results: Folder for ``nnUNet_results``.
        dataset: Name of the dataset, a folder in each of them.
        folder: The model's folder, ``results/DATASET/TRAINER__nnUNetPlans__3d_fullres``.
    """

    raw: Path
    preprocessed: Path
    results: Path
    dataset: str
    folder: Path

    @property
    def images(self) -> Path:
        """``imagesTr`` of the dataset."""
        return self.raw / self.dataset / "imagesTr"

    @property
    def labels(self) -> Path:
        """``labelsTr`` of the dataset."""
        return self.raw / self.dataset / "labelsTr"

    def environment(self) -> dict[str, str]:
        """nnU-Net's three variables."""
        return {
            "nnUNet_raw": str(self.raw),
            "nnUNet_preprocessed": str(self.preprocessed),
            "nnUNet_results": str(self.results),
        }


def tiny_dataset_json(channels=CHANNELS, num_training: int = 0) -> dict:
    """``dataset.json`` of the tiny dataset."""
    return {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, **REGIONS},
        "regions_class_order": [1, 2, 3],
        "numTraining": num_training,
        "file_ending": ".nii.gz",
    }


def tiny_plans(channels=CHANNELS, patch: int = 16, scheme: str = "ZScoreNormalization") -> dict:
    """``nnUNetPlans.json`` of the tiny dataset: PlainConvUNet with 3 stages of 8, 16 and 16 features, spacing 1 mm."""
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    intensities = {"max": 9, "mean": 5, "median": 5, "min": 1, "percentile_00_5": 1, "percentile_99_5": 9, "std": 2}
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0] * 3,
        "original_median_shape_after_transp": list(SHAPE),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(number): intensities for number in range(len(channels))},
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [patch] * 3,
                "median_image_size_in_voxels": list(SHAPE),
                "spacing": [1.0] * 3,
                "normalization_schemes": [scheme] * len(channels),
                "use_mask_for_norm": [True] * len(channels),
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": resampling,
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": 3,
                        "features_per_stage": [8, 16, 16],
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3] * 3] * 3,
                        "strides": [[1] * 3, [2] * 3, [2] * 3],
                        "n_conv_per_stage": [1, 1, 1],
                        "n_conv_per_stage_decoder": [1, 1],
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
                "batch_dice": False,
            }
        },
    }


def write_tiny_model(
    root: Path,
    folds=(0,),
    trainer: str = "HeteroModalVAETrainer",
    channels=CHANNELS,
    scheme: str = "ZScoreNormalization",
    cases=(),
    labels: dict | None = None,
    settings: dict | None = None,
    intensity: dict | None = None,
    orientation: str | None = "LPS",
    spacing: float = 1.0,
) -> TinyModel:
    """Write the folders of a tiny model.

    Args:
        root: Folder to write to.
        folds: Folds to write a checkpoint for; the weights of each are seeded by its place in the list.
        trainer: Name of the trainer; nnU-Net must be able to find it.
        channels: Names of the modalities.
        scheme: nnU-Net's normalisation scheme of all channels.
        cases: Training cases to write with `write_case`. Fold f validates on every case whose place is f modulo 5.
        labels: Foreground labels instead of nested regions, e.g. ``{"edema": 1, "core": 2}``.
        settings: Content of ``hetero_modal`` of the plans.
        intensity: What the checkpoint knows of the training images.
        orientation: Of the training images; that of `write_case` by default.
        spacing: Edge of the voxels that the network works on, mm.
    """
    dataset_json, plans = tiny_dataset_json(channels, len(cases)), tiny_plans(channels, scheme=scheme)
    plans["original_median_spacing_after_transp"] = [spacing] * 3
    plans["configurations"][CONFIGURATION]["spacing"] = [spacing] * 3
    plans["configurations"][CONFIGURATION]["hetero_modal"] = settings or {}
    if labels is not None:
        dataset_json["labels"] = {"background": 0, **labels}
        del dataset_json["regions_class_order"]
    places = [root / name for name in ("raw", "preprocessed", "results")]
    folder = places[2] / DATASET / f"{trainer}__nnUNetPlans__{CONFIGURATION}"
    model = TinyModel(*places, DATASET, folder)
    for number, name in enumerate(cases):
        write_case(model.images, name, seed=number, channels=channels, labels=model.labels)
    write_json(model.raw / DATASET / "dataset.json", dataset_json)
    write_json(model.preprocessed / DATASET / "dataset.json", dataset_json)
    write_json(model.preprocessed / DATASET / "nnUNetPlans.json", plans)
    splits = [
        {
            "train": [name for place, name in enumerate(cases) if place % 5 != fold],
            "val": [name for place, name in enumerate(cases) if place % 5 == fold],
        }
        for fold in range(5)
    ]
    write_json(model.preprocessed / DATASET / "splits_final.json", splits)
    write_json(folder / "dataset.json", dataset_json)
    write_json(folder / "plans.json", plans)
    for seed, fold in enumerate(folds):
        (folder / f"fold_{fold}").mkdir(parents=True)
        checkpoint = tiny_checkpoint(plans, dataset_json, trainer, fold, seed)
        checkpoint["hetero_modal"] = {"intensity": intensity, "orientation": orientation}
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return model


def tiny_checkpoint(plans: dict, dataset_json: dict, trainer: str, fold=0, seed: int = 0) -> dict:
    """A checkpoint as nnU-Net's trainer saves it, as far as prediction reads it, with random weights."""
    manager = PlansManager(deepcopy(plans))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = recursive_find_trainer_class_by_name(trainer).build_network_architecture(
            manager,
            manager.get_configuration(CONFIGURATION),
            len(dataset_json["channel_names"]),
            manager.get_label_manager(dataset_json).num_segmentation_heads,
            enable_deep_supervision=False,
        )
        for module in network.modules():
            if isinstance(module, SubsetOutput):  # starts the same for all subsets
                torch.nn.init.normal_(module.weight)
    return {
        "network_weights": network.state_dict(),
        "init_args": {"plans": plans, "configuration": CONFIGURATION, "fold": fold, "dataset_json": dataset_json},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def trained_otherwise(folder: Path, change: Callable[[dict, dict], None]) -> None:
    """Change a model as if its training had used other plans.

    Args:
        folder: The model's.
        change: Changes the plans, and the configuration in them, in place.
    """
    plans = json.loads((folder / "plans.json").read_text())
    change(plans, plans["configurations"][CONFIGURATION])
    write_json(folder / "plans.json", plans)
    for file in folder.glob("fold_*/*.pth"):
        checkpoint = torch.load(file, weights_only=False)
        checkpoint["init_args"]["plans"] = plans
        torch.save(checkpoint, file)


def write_json(file: Path, content) -> None:
    """Write a JSON file, with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1))


def write_case(
    folder: Path,
    name: str,
    present=None,
    seed: int = 0,
    shape=SHAPE,
    channels=CHANNELS,
    labels: Path | None = None,
    spacing: float = 1.0,
) -> list[Path]:
    """Write a head with a nested tumour: one file ``NAME_XXXX.nii.gz`` per present modality.

    The images are zero outside of the head. T2 and FLAIR have slightly larger heads than T1 and T1c, as in real data,
    so that nnU-Net's crop depends on which of them are there.

    Args:
        folder: Folder for the images.
        name: Case identifier.
        present: Numbers of the modalities to write; default all.
        seed: Seed of intensities and position of the tumour.
        shape: Voxels, ``(z, y, x)``.
        channels: Names of the modalities.
        labels: Folder for the label map; None writes none.
        spacing: Edge of a voxel, mm.

    Returns:
        The images' files.
    """
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    centre = random.uniform(-0.2, 0.2, 3)
    from_tumour = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
    label = sum((from_tumour < limit).astype(np.uint8) for limit in (0.5, 0.35, 0.2))
    files = []
    folder.mkdir(parents=True, exist_ok=True)
    for channel in range(len(channels)):
        contrast = np.array([5.0, *random.uniform(2, 9, 3)])
        image = contrast[label] + random.normal(0, 0.5, shape)
        image[radius > (0.8 if channel < 2 else 0.9)] = 0
        if present is None or channel in present:
            files.append(folder / f"{name}_{channel:04d}.nii.gz")
            write_image(files[-1], image.astype(np.float32), spacing)
    if labels is not None:
        labels.mkdir(parents=True, exist_ok=True)
        write_image(labels / f"{name}.nii.gz", label, spacing)
    return files


def write_image(file: Path, array: np.ndarray, spacing: float = 1.0, origin=None, direction=None) -> None:
    """Write an image, ``(z, y, x)`` or with a leading time axis.

    Args:
        file: Path to write.
        array: Voxels.
        spacing: Edge of a voxel, mm.
        origin: Position of the first voxel, mm, ``(x, y, z)``.
        direction: Direction cosines, 9 numbers.
    """
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing([spacing] * array.ndim)
    if origin is not None:
        image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(file))


def read_array(file: Path) -> np.ndarray:
    """Voxels of an image, ``(z, y, x)``."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
