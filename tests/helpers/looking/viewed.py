"""An output folder of a prediction to look at, made without a network: an asymmetric head, a region on its left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

REGIONS = {"whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
CHANNELS = ("T1", "T1c", "T2", "FLAIR")
SIZE = (40, 44, 32)
"""Voxels along the patient's left, back and top, as LPS counts them."""

MIDDLE = (28, 16, 14)
"""Of the region, in voxels; 28 of 40 is on the patient's left."""


@dataclass(frozen=True)
class Viewed:
    """Where the files are."""

    output: Path
    images: Path
    labels: Path


def ball(radius: float) -> np.ndarray:
    """``(x, y, z)`` bool, around `MIDDLE`."""
    places = np.stack(np.meshgrid(*(np.arange(size) for size in SIZE), indexing="ij"), axis=-1)
    return ((places - MIDDLE) ** 2).sum(axis=-1) < radius**2


def head() -> np.ndarray:
    """``(x, y, z)`` float32: an ellipsoid of 500, twice as bright on the patient's left."""
    places = np.stack(np.meshgrid(*(np.arange(size) for size in SIZE), indexing="ij"), axis=-1)
    inside = (((places - np.array(SIZE) / 2) / (np.array(SIZE) / 2 - 2)) ** 2).sum(axis=-1) < 1
    return np.where(inside, np.where(places[..., 0] > SIZE[0] / 2, 1000, 500), 0).astype(np.float32)


def label_map() -> np.ndarray:
    """``(x, y, z)``: the three labels, one in the other."""
    labels = np.zeros(SIZE, np.uint8)
    for label, radius in ((1, 7), (2, 5), (3, 3)):
        labels[ball(radius)] = label
    return labels


def write(file: Path, data: np.ndarray, orientation: str = "LPS", spacing=(1.5, 1.5, 2.0)) -> None:
    """Write ``(x, y, z)`` in LPS to a file whose axes run as `orientation` says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(data.transpose(2, 1, 0))
    image.SetSpacing(spacing)
    image.SetOrigin((-30.0, -33.0, -32.0))
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(file), True)


def write_viewed(root: Path, case: str = "a", orientation: str = "LPS", ending: str = ".nii.gz") -> Viewed:
    """Write a case: predicted without T1c, which is completed; with a map of entropy and the truth."""
    found = Viewed(root / "out", root / "in", root / "gt")
    output = found.output
    for channel in (0, 2, 3):
        write(found.images / f"{case}_{channel:04d}{ending}", head() + channel * (head() > 0), orientation)
    write(output / f"{case}{ending}", label_map(), orientation)
    write(found.labels / f"{case}{ending}", np.roll(label_map(), 2, axis=1), orientation)
    write(output / "completed" / f"{case}_0001{ending}", 2 * head(), orientation)
    (output / "completed" / f"{case}_0001.json").write_text('{"note": "Synthesised"}')
    write(output / "uncertainty" / f"{case}_entropy_whole_tumor{ending}", 0.5 * ball(9).astype(np.float32), orientation)
    dataset = {
        "channel_names": {str(number): name for number, name in enumerate(CHANNELS)},
        "labels": {"background": 0, **REGIONS},
        "regions_class_order": [1, 2, 3],
        "file_ending": ending,
        "numTraining": 1,
    }
    (output / "dataset.json").write_text(json.dumps(dataset))
    record = {"used": ["T1", "T2", "FLAIR"], "absent": {"T1c": "no file"}}
    records = output / "modalities.json"
    known = json.loads(records.read_text()) if records.is_file() else {}
    records.write_text(json.dumps({**known, case: record}))
    table = output / "volumes.csv"
    if not table.is_file():
        table.write_text("case,modalities,whole_tumor_ml,tumor_core_ml,enhancing_tumor_ml\n")
    with open(table, "a", encoding="utf-8", newline="") as stream:
        stream.write('"{}",T1+T2+FLAIR,{},2.0,0.5\n'.format(case.replace('"', '""'), 6.0 + len(case)))
    return found
