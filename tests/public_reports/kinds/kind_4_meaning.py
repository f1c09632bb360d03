"""Kind 4: a number with another meaning. In CT zero is water; a picture has no volume."""

from __future__ import annotations

import csv
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch
from helpers.tiny_model import (
    CHANNELS,
    CONFIGURATION,
    SHAPE,
    TinyModel,
    read_array,
    tiny_checkpoint,
    tiny_dataset_json,
    tiny_plans,
    write_image,
    write_json,
    write_tiny_model,
)
from public_reports.situation import MODEL, QUICK, Place, Situation
from skimage.io import imsave

from nnunet_hetero.inference.predictor import HeteroModalPredictor

AIR, LOWER_CLIP = -1000.0, 1.0
WATER = (10, 9, 11)


def _body() -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[4:16, 3:15, 4:18] = True
    return inside


def _complete_a_ct(place: Place) -> int:
    """CT alone; a second CT is completed. Some voxels of the body are 0 HU."""
    model = write_tiny_model(place.folder / "ct", channels=("CT", "CT2"), scheme="CTNormalization")
    for name, value in model.environment().items():
        place.monkeypatch.setenv(name, value)
    image = np.where(_body(), np.random.default_rng(0).uniform(1, 9, SHAPE), AIR).astype(np.float32)
    image[WATER] = 0
    write_image(place.images / "a_0000.nii.gz", image)
    return place.run("predict", "-i", place.images, "-o", place.out, *MODEL, *QUICK, "--save_completed")


# -- 14 ---------------------------------------------------------------------------------------------------------------

EDGES = (0.5, 0.8)
"""Of a pixel of the medical 2D images, mm, (x, y)."""


def _two_dimensional_model(place: Place, ending: str) -> TinyModel:
    model = write_tiny_model(place.folder / "flat")
    plans, dataset_json = tiny_plans(), {**tiny_dataset_json(), "file_ending": ending}
    plans["image_reader_writer"] = "NaturalImage2DIO" if ending == ".png" else "SimpleITKIO"
    configuration = plans["configurations"][CONFIGURATION]
    configuration |= {"patch_size": [16, 16], "spacing": [1.0, 1.0], "median_image_size_in_voxels": [20, 18]}
    configuration["architecture"]["arch_kwargs"] |= {
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "kernel_sizes": [[3, 3]] * 3,
        "strides": [[1, 1], [2, 2], [2, 2]],
    }
    write_json(model.folder / "plans.json", plans)
    write_json(model.folder / "dataset.json", dataset_json)
    checkpoint = tiny_checkpoint(plans, dataset_json, "HeteroModalVAETrainer")
    checkpoint["inference_allowed_mirroring_axes"] = (0, 1)
    torch.save(checkpoint, model.folder / "fold_0" / "checkpoint_final.pth")
    for name, value in model.environment().items():
        place.monkeypatch.setenv(name, value)
    return model


def _two_dimensional(place: Place, ending: str) -> int:
    """A prediction of two of four images with all that can be asked for, from the command and from Python."""
    place.model = _two_dimensional_model(place, ending)
    random = np.random.default_rng(0)
    labels = place.folder / "labels"
    labels.mkdir()
    for channel in (0, 2):
        image = random.uniform(20, 200, (24, 20))
        image[:4] = 0
        _save(place.images / f"a_{channel:04d}{ending}", image)
    _save(labels / f"a{ending}", random.integers(0, 4, (24, 20)))
    flags = ("--save_completed", "--save_uncertainty")
    options = ("-device", "cpu", "--disable_tta", "--subsets", "T1", "T1+T2", "--metrics", "all")
    folders = ("-i", place.images, "-l", labels, "-o", place.folder / "evaluation")
    return place.predict(*flags) or place.run("evaluate", *MODEL, *folders, *options)


def _save(file, image) -> None:
    if file.suffix == ".png":
        imsave(file, image.astype(np.uint8), check_contrast=False)
        return
    itk_image = sitk.GetImageFromArray(image.astype(np.float32))
    itk_image.SetSpacing(EDGES)
    sitk.WriteImage(itk_image, str(file))


def _rows(file) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _no_volume(place: Place, area: float | None) -> None:
    (row,) = _rows(place.out / "volumes.csv")
    sizes = {name: value for name, value in row.items() if "_ml" in name or "_mm2" in name}
    image = next((place.folder / "labels").iterdir())
    prediction = place.out / image.name
    pixels = int((read_array(prediction) > 0).sum())
    if area is None:
        assert sizes and set(sizes.values()) == {""}
    else:
        assert float(sizes["whole_tumor_mm2"]) == np.float64(f"{pixels * area:.6g}")
        assert not [name for name in sizes if "_ml" in name]
    assert 0 <= float(_rows(place.out / "uncertainty" / "uncertainty.csv")[0]["whole_tumor_disagreement"]) <= 1
    for file in (place.out / "completed").glob("*.nii.gz"):
        written = sitk.ReadImage(str(file))
        assert np.allclose(written.GetSpacing(), (1.0, 1.0) if area is None else EDGES)
    for row in _rows(place.folder / "evaluation" / "metrics.csv"):
        assert row["dice"] and row["volume_error_ml"] == row["lesion_hd95"] == ""
        assert bool(row["hd95"]) == bool(row["nsd"]) == (area is not None)
    predictor = HeteroModalPredictor.from_model_folder(place.model.folder, folds=0, device="cpu")
    found = predictor.predict({CHANNELS[0]: next(place.images.glob("a_0000*"))})
    assert {volume.millilitres for volume in found.volumes.values()} == {None}
    region = int((found.segmentation > 0).sum())
    assert not found.areas if area is None else np.isclose(found.areas["whole tumor"].square_millimetres, region * area)


def _air_around_and_no_holes(place: Place) -> None:
    completed = read_array(place.out / "completed" / "a_0001.nii.gz")
    assert np.all(completed[~_body()] == LOWER_CLIP)
    assert completed[WATER] != LOWER_CLIP


SITUATIONS = [
    Situation(
        "14",
        "the volume of a picture",
        partial(_two_dimensional, ending=".png"),
        0,
        never=("Traceback", "1110"),
        check=partial(_no_volume, area=None),
    ),
    Situation(
        "14b",
        "the area of a slice",
        partial(_two_dimensional, ending=".nii.gz"),
        0,
        check=partial(_no_volume, area=EDGES[0] * EDGES[1]),
    ),
    Situation("15", "a completed CT, and 0 HU inside of one", _complete_a_ct, 0, check=_air_around_and_no_holes),
]
