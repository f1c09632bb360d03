"""An image of a case, whatever it is stored as: checked, and read with its place in space."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from nnunet_hetero.cases.geometry import header_doubts, read_geometry
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.convert import convert
from nnunet_hetero.intake.dicom.scan import headers_of, is_series, tree_of
from nnunet_hetero.intake.files.tree import unpack_image
from nnunet_hetero.intake.files.volumes import read_volume
from nnunet_hetero.intake.series import Series

LEAST_EDGE, MOST_EDGE = 1.0, 3000.0
"""mm. No scanner's image is smaller or larger as a whole."""


def opened(series: Series, folder: Path, scratch: Path) -> sitk.Image:
    """Read an image or a DICOM series.

    Args:
        series: Which.
        folder: The input folder.
        scratch: An empty folder for what is unpacked or converted; it may be removed afterwards.

    Returns:
        3D, one value per voxel, of the type in the file; all values are finite.

    Raises:
        DataError: If it cannot be read as a whole, is not 3D, lies on no valid grid, has values that cannot be computed
            with, or is a DICOM series with slices missing, doubled or tilted. Names the case and the file.
        SettingsError: If it is a DICOM series, and what converts it is not installed.
    """
    what = f"Case '{series.case}', {series.source}"
    try:
        file = _file(series, folder, scratch)
        image = read_volume(file, what)
        _require_size_of_a_body(image, what)
        doubts = header_doubts(file, read_geometry(file))
    except DataError as error:
        text = str(error)
        raise error if text.startswith("Case ") else DataError(f"{what}: {text}") from error
    if doubts:
        print(f"WARNING: {what}: {doubts}.", flush=True)
    return image


def frame_of_reference(series: Series, folder: Path) -> str | None:
    """FrameOfReferenceUID of a DICOM series: images that share it were taken without moving the patient.

    Raises:
        DataError: If a file of the series cannot be read.
    """
    for header in headers_of(series.place, series.inner, folder):
        return str(header.get("FrameOfReferenceUID") or "") or None
    return None


def _file(series: Series, folder: Path, scratch: Path) -> Path:
    if is_series(series.place, series.inner, folder):
        return convert(tree_of(series.place, folder), series.inner, scratch)
    if not series.inner:
        return folder / series.place
    tree = tree_of(series.place, folder)
    if series.inner not in tree.names:
        raise DataError("it is not in the zip any more.")
    return unpack_image(tree, series.inner, scratch)


def _require_size_of_a_body(image: sitk.Image, what: str) -> None:
    edges = [size * edge for size, edge in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    if LEAST_EDGE <= max(edges) <= MOST_EDGE:
        return
    found = " x ".join(f"{edge:.4g}" for edge in edges)
    raise DataError(
        f"{what} is {found} mm large, by its header; expected is a part of a body, with a longest edge of "
        f"{LEAST_EDGE:g} to {MOST_EDGE:g} mm. Does the header count in micrometres or metres without saying so? "
        "Mend its voxel sizes."
    )
