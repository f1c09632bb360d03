"""A label map as a DICOM Segmentation: coded segments, references to the images that it was made for, and a proof.

highdicom writes it. Before it gets its name it is read back with pydicom alone, frame by frame: every pixel must lie at
the voxel that it came from, and every frame refer to the image that lies there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.cases.orientation import axis_codes, turned, turned_grid
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.concepts import Concept, coded
from nnunet_hetero.intake.dicom.convert import stack_at
from nnunet_hetero.intake.dicom.extra import require
from nnunet_hetero.intake.dicom.frames import frame_affine, read_segments, sources_of
from nnunet_hetero.intake.dicom.scan import is_series, tree_of
from nnunet_hetero.intake.dicom.stack import Stack
from nnunet_hetero.intake.files.tree import Tree
from nnunet_hetero.intake.series import Series
from nnunet_hetero.io.atomic_files import replacing_by_name
from nnunet_hetero.version import __version__

PROGRAM = "nnunet_hetero"
PURPOSE = "Writing DICOM Segmentations"

MAY_LACK = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""Elements that may be empty and that anonymisers remove, though the standard wants them."""


def write_segmentation(
    label_map: sitk.Image, labels: Mapping[str, int | list[int]], series: Series, folder: Path, target: Path
) -> None:
    """Write a label map as a DICOM Segmentation of the series that it lies on.

    Args:
        label_map: Whole numbers on the grid of the series; its axes may be in any order and direction.
        labels: ``labels`` of ``dataset.json``: name → label, or labels of a region; each becomes a segment.
        series: A DICOM series.
        folder: The input folder that holds it.
        target: File to write, ``.dcm``; replaced as a whole.

    Raises:
        DataError: If the series is none of DICOM or is not there any more, the label map lies on another grid, or what
            was written is not what was to be written.
        SettingsError: If highdicom or pydicom is not installed.
        OSError: If the disk does not take it.
    """
    require("highdicom", PURPOSE)
    what = f"Case '{series.case}', {series.source}"
    if not is_series(series.place, series.inner, folder):
        raise DataError(f"{what} is no DICOM series, so no DICOM Segmentation can refer to it. Return NIfTI instead.")
    try:
        tree = tree_of(series.place, folder)
        stack = stack_at(tree, series.inner)
    except DataError as error:
        raise DataError(f"{what}: {error}") from error
    masks = _masks(label_map, labels, stack.geometry, what)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_by_name(target) as draft:
        _segmentation(_by_source(masks, stack), _sources(tree, stack)).save_as(draft)
        _require_same(draft, masks, stack, target)


def segments_of(labels: Mapping[str, int | list[int]]) -> dict[str, tuple[int, ...]]:
    """The names of ``dataset.json`` that are segments → their labels; neither background nor what was not annotated."""
    found = {}
    for name, entry in labels.items():
        values = tuple(entry) if isinstance(entry, (list, tuple)) else (entry,)
        if name != "ignore" and set(values) != {0}:
            found[name] = values
    return found


def _masks(
    label_map: sitk.Image, labels: Mapping[str, int | list[int]], grid: Geometry, what: str
) -> dict[str, np.ndarray]:
    """Mask of each segment, (columns, rows, slices) of the series."""
    direction = np.reshape(label_map.GetDirection(), (3, 3))
    own = Geometry(label_map.GetSize(), np.array(label_map.GetSpacing()), direction, np.array(label_map.GetOrigin()))
    before, after = axis_codes(own.ras_affine), axis_codes(grid.ras_affine)
    difference = turned_grid(own, after).difference(grid, "the series")
    if difference:
        raise DataError(f"{what}: the label map lies on another grid, {difference}. Return it to this series first.")
    values = turned(sitk.GetArrayFromImage(label_map).transpose(2, 1, 0), before, after)
    return {name: np.isin(values, members) for name, members in segments_of(labels).items()}


def _sources(tree: Tree, stack: Stack) -> list[Any]:
    """The headers of the slices as a whole, without voxels."""
    pydicom = require("pydicom", PURPOSE)
    sources = []
    for name in stack.files:
        with tree.open(name) as stream:
            source = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
        for keyword in MAY_LACK:
            if keyword not in source:
                setattr(source, keyword, None)
        sources.append(source)
    return sources


def _by_source(masks: Mapping[str, np.ndarray], stack: Stack) -> dict[str, np.ndarray]:
    """The masks with their slices in the order of the frames, if all lie in one file."""
    alone = stack.slices[0].alone
    order = np.argsort([0 if alone else one.frame for one in stack.slices], kind="stable")
    return {name: mask[:, :, order] for name, mask in masks.items()}


def _segmentation(masks: Mapping[str, np.ndarray], sources: list[Any]) -> Any:
    seg = require("highdicom.seg", PURPOSE)
    uid = require("highdicom", PURPOSE).UID
    # (frames, rows, columns, segments)
    pixels = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8)
    return seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(number, name) for number, name in enumerate(masks, 1)],
        series_instance_uid=uid(),
        series_number=int(sources[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=uid(),
        instance_number=1,
        manufacturer=PROGRAM,
        manufacturer_model_name=PROGRAM,
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="SEGMENTATION",
        content_description=f"Segmentation by {PROGRAM}",
        series_description=f"{PROGRAM} {', '.join(masks)}"[:64],
        omit_empty_frames=bool(pixels.any()),
    )


def _description(number: int, name: str) -> Any:
    seg, highdicom = require("highdicom.seg", PURPOSE), require("highdicom", PURPOSE)
    codes = coded(name)
    family = ("123110", "DCM", "Artificial Intelligence")
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.kind),
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=PROGRAM, family=_concept(family), version=__version__
        ),
    )


def _concept(concept: Concept) -> Any:
    code, scheme, meaning = concept
    return require("highdicom.sr", PURPOSE).CodedConcept(value=code, scheme_designator=scheme, meaning=meaning)


def _require_same(draft: Path, masks: Mapping[str, np.ndarray], stack: Stack, target: Path) -> None:
    """Read it back: every voxel of every segment, and the image that each frame refers to."""
    found = read_segments(draft, stack.geometry)
    for name, mask in masks.items():
        differing = int(np.count_nonzero(found[name[:64]] != mask))
        if differing:
            raise DataError(f"{target}: {differing} voxels of '{name}' are not where they belong. Please report it.")
    data = require("pydicom", PURPOSE).dcmread(draft, stop_before_pixels=True)
    own = [(str(one.header.SOPInstanceUID), None if one.alone else one.frame) for one in stack.slices]
    for groups in data.PerFrameFunctionalGroupsSequence:
        first = frame_affine(data, groups)[:, 2]
        place = float((first - stack.geometry.origin) @ stack.geometry.direction[:, 2] / stack.geometry.spacing[2])
        if sources_of(groups) != [own[round(place)]]:
            raise DataError(f"{target}: a frame refers to another image than the one at its place. Please report it.")
