"""The same case for 3D Slicer and ITK-SNAP: images, a segmentation with names and colours, a table of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import nrrd
import numpy as np

from nnunet_hetero.errors import HeteroError
from nnunet_hetero.inference.output.volumes import plain_name
from nnunet_hetero.io.atomic_files import replace_text, replacing_by_name
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.viewer.layers import COLOURS, CaseView
from nnunet_hetero.viewer.pages import CaseSource
from nnunet_hetero.viewer.picture import LPS_TO_RAS, Picture

CATEGORY = ("49755003", "Morphologically Altered Structure")
TYPES = {
    "edema": ("79654002", "Edema"),
    "oedema": ("79654002", "Edema"),
    "necro": ("6574001", "Necrosis"),
    "tum": ("108369006", "Neoplasm"),
}
"""SNOMED CT codes, as DICOM's segmentations use them, by a part of the region's name."""


def write_scenes(source: CaseSource, cases: Sequence[str], folder: Path) -> dict[str, str]:
    """Write a folder for each case; see `write_scene`.

    Returns:
        Why a case has none, by case.
    """
    failed = {}
    for case in cases:
        try:
            write_scene(source.view(case), folder / case)
        except HeteroError as error:
            failed[case] = str(error)
    return failed


def write_scene(view: CaseView, folder: Path) -> None:
    """Write the files of a case.

    Images as ``NAME.nii.gz``, completed ones as ``NAME_completed_synthetic.nii.gz``; regions as ``regions.seg.nrrd``,
    which 3D Slicer opens as a segmentation, regions that overlap included; the label map as ``labels.nii.gz`` with
    ``labels.label`` for ITK-SNAP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    endings = {"image": "", "completed": "_completed_synthetic", "difference": "_completed_less_acquired"}
    for entry in view.backgrounds:
        _write_nifti(entry.picture, folder / f"{plain_name(entry.name)}{endings[entry.kind]}.nii.gz")
    _write_nifti(view.prediction, folder / "labels.nii.gz")
    replace_text(folder / "labels.label", itk_snap_table(view.regions))
    _write_segmentation(view.prediction, view.regions, folder / "regions.seg.nrrd")
    if view.truth is not None:
        _write_segmentation(view.truth, view.regions, folder / "truth.seg.nrrd")


def itk_snap_table(regions: Mapping[str, Region]) -> str:
    """ITK-SNAP's description of labels: each has name and colour of the smallest region that it is part of."""
    lines = ['0 0 0 0 0 0 0 "background"']
    by_size = sorted(enumerate(regions.items()), key=lambda entry: np.size(entry[1][1]), reverse=True)
    named = {}
    for number, (name, region) in by_size:
        for label in np.atleast_1d(region).tolist():
            named[label] = (number, name)
    for label, (number, name) in sorted(named.items()):
        red, green, blue = _rgb(number)
        lines.append(f'{label} {red} {green} {blue} 1 1 1 "{name}"')
    return "\n".join(lines) + "\n"


def _write_nifti(picture: Picture, file: Path) -> None:
    kind = np.float32 if picture.data.dtype.kind == "f" else np.int32
    with replacing_by_name(file) as draft:
        nibabel.save(nibabel.Nifti1Image(picture.data.astype(kind), picture.affine), draft)


def _write_segmentation(label_map: Picture, regions: Mapping[str, Region], file: Path) -> None:
    masks = np.stack([np.isin(label_map.data, np.atleast_1d(region)) for region in regions.values()])
    lps = LPS_TO_RAS @ label_map.affine
    header = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.vstack([[np.nan] * 3, lps[:3, :3].T]),
        "space origin": lps[:3, 3],
        "encoding": "gzip",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    for number, name in enumerate(regions):
        header |= {
            f"Segment{number}_ID": plain_name(name),
            f"Segment{number}_Name": name,
            f"Segment{number}_Color": " ".join(f"{value / 255:.4f}" for value in _rgb(number)),
            f"Segment{number}_LabelValue": "1",
            f"Segment{number}_Layer": str(number),
            f"Segment{number}_Extent": " ".join(f"0 {size - 1}" for size in label_map.data.shape),
            f"Segment{number}_Tags": _tags(name),
        }
    with replacing_by_name(file) as draft:
        nrrd.write(str(draft), masks.astype(np.uint8), header)


def _tags(name: str) -> str:
    """What the segment is, in DICOM's codes as far as they are known."""
    code, meaning = next((entry for word, entry in TYPES.items() if word in name.lower()), ("", ""))
    if not code:
        return ""
    category = "^".join(("SCT", *CATEGORY))
    return f"TerminologyEntry:Segmentation category and type - DICOM master list~{category}~SCT^{code}^{meaning}~^^~|"


def _rgb(number: int) -> tuple[int, int, int]:
    colour = COLOURS[number % len(COLOURS)]
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
