"""A held-out case as a scanner would deliver it: files another way round, and a patient who moved between two scans."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure
from matplotlib.image import imread

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.dataset_conversion.brats import LABEL_VALUES
from nnunet_hetero.demo.sections import REGIONS, DemoFiles, load
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.evaluation.report.page import ExtraTable
from nnunet_hetero.evaluation.scores.overlap import dice_per_region

ARRIVED = {"T1c": "t1ce", "T2": "t2", "FLAIR": "flair"}
"""What the scanner delivers, with the ends of the files' names: no T1. The FLAIR was taken after the patient moved."""

ON_ITS_SIDE = "PIR"
"""How the files are stored; see `nnunet_hetero.cases.orientation`."""

SHIFT, ANGLES = (9.0, -6.0, 5.0), (6.0, -4.0, 9.0)
"""How the patient moved: mm, and degrees about the three axes."""

FINEST_NEEDED = 48
"""Voxels a side of a phantom that arrives, at least: in coarser ones a registration is not sure to 1.5 mm."""

COARSER = (1.1, 1.1, 1.25)
"""Edges of the FLAIR's voxels, relative to the others'."""

ARRIVALS, READY, RETURNED = "from_scanner", "intake", "returned"
"""Folders of the demo: what arrives, what intake makes of it, what returns. Predictions of it lie where others do."""


def run_arrival(raw: Path, out: Path, steps: Steps, predict: Sequence[str], model: Sequence[str]) -> None:
    """Let a case arrive, take it in, segment it, and return the result.

    Args:
        raw: The case, in the raw BraTS layout.
        out: The demo's folder.
        steps: Runs the commands.
        predict: The command that predicts.
        model: Its flags for the model and the device.
    """
    arrivals, ready, back = (str(out / name) for name in (ARRIVALS, READY, RETURNED))
    segmented = str(out / "predictions" / ARRIVALS)
    write_arrival(raw, Path(arrivals))
    folder = next((out / "nnUNet_results").glob("*/*__*"))
    steps.run("intake", ["nnunet_hetero", "intake", "-i", arrivals, "-o", ready, "-m", str(folder), "-np", "1"])
    places = ["-i", str(Path(ready) / "images"), "-o", segmented]
    steps.run(f"predict_{ARRIVALS}", [*predict, *places, *model, "-npp", "0", "-nps", "0"])
    places = ["--intake", ready, "--predictions", segmented, "-o", back]
    steps.run("return", ["nnunet_hetero", "return", *places, "--to", "T1c", "-np", "1"])


def write_arrival(raw: Path, folder: Path) -> None:
    """Write the images of a case as they would arrive.

    Args:
        raw: The case, in the raw BraTS layout.
        folder: To write to.
    """
    case = raw.name
    (folder / case).mkdir(parents=True)
    for name, ending in ARRIVED.items():
        image = sitk.ReadImage(str(raw / f"{case}_{ending}.nii.gz"))
        if name == "FLAIR":
            image = sitk.Resample(image, _other_grid(image), motion(image), sitk.sitkLinear, 0.0, image.GetPixelID())
        sitk.WriteImage(reoriented(image, ON_ITS_SIDE), str(folder / case / f"{case}_{ending}.nii.gz"))


def motion(image: sitk.Image) -> sitk.Euler3DTransform:
    """From the patient after he has moved to where he lay before, about the middle of an image."""
    middle = image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])
    return sitk.Euler3DTransform(middle, *np.radians(ANGLES).tolist(), SHIFT)


def _other_grid(image: sitk.Image) -> sitk.Image:
    """An empty image of the same box in voxels of other edges: another scan."""
    size = [int(np.ceil(number / edge)) for number, edge in zip(image.GetSize(), COARSER, strict=True)]
    grid = sitk.Image(size, image.GetPixelID())
    grid.SetDirection(image.GetDirection())
    grid.SetSpacing([spacing * edge for spacing, edge in zip(image.GetSpacing(), COARSER, strict=True)])
    grid.SetOrigin(image.GetOrigin())
    return grid


def arrival(files: DemoFiles, raw: Path) -> tuple[Figure, ExtraTable]:
    """The picture that intake drew, and how well the case was segmented on its way there and back.

    Args:
        files: Where the demo's files are.
        raw: The case that arrived, in the raw BraTS layout.
    """
    case, subset = raw.name, "+".join(ARRIVED)
    labels = sitk.GetArrayFromImage(reoriented(sitk.ReadImage(str(raw / f"{case}_seg.nii.gz")), ON_ITS_SIDE))
    truth = np.vectorize(LABEL_VALUES.get)(labels)
    back = sitk.ReadImage(str(files.out / RETURNED / case / "segmentation_on_T1c.nii.gz"))
    found = dice_per_region(sitk.GetArrayFromImage(back), truth, REGIONS)
    before = load(files.out / "evaluation" / "predictions" / subset / f"{case}.nii.gz")
    expected = dice_per_region(before, files.truth(case), REGIONS)
    rows = [
        [f"{case}, from {subset}", *(name.replace("_", " ") for name in REGIONS)],
        ["as it lay", *(f"{expected[name]:.3f}" for name in REGIONS)],
        ["moved, taken in, and returned", *(f"{found[name]:.3f}" for name in REGIONS)],
    ]
    with (files.out / READY / "intake.csv").open(newline="", encoding="utf-8") as stream:
        moved = next(row for row in csv.DictReader(stream) if row["modality"] == "FLAIR")
    note = (
        f"Dice. The patient moved by {np.linalg.norm(SHIFT):.1f} mm before the FLAIR; registration brought it back by "
        f"{float(moved['shift_mm']):.1f} mm and {float(moved['degrees']):.1f}°. All files are stored as {ON_ITS_SIDE}."
    )
    return picture(files.out / READY / "qc" / f"{case}.png"), ("A case from the scanner", rows, note)


def picture(file: Path) -> Figure:
    """A PNG file as a figure of its own size."""
    pixels = imread(file)
    figure = Figure(figsize=(pixels.shape[1] / 100, pixels.shape[0] / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels)
    axes.set_axis_off()
    return figure
