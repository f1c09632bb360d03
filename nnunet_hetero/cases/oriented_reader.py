"""Cases in the orientation of a model's training images, whatever that of their files, and the way back.

nnU-Net's readers give voxels in the order of the file; nobody tells the network when another case's file has its axes
elsewhere. So images are turned as they are read, and what is made of them is turned back as it is written. Properties
stay those that nnU-Net's readers give, of the turned image; those of the file are kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from typing_extensions import TypedDict

from nnunet_hetero.cases.geometry import Geometry, reader_geometry
from nnunet_hetero.cases.orientation import angle_off_axes, axes_of_turn, axis_codes, turned, turned_grid

STORED = "nnunet_hetero_stored"
"""Key in the properties of an image that was read for a model with an orientation: how its file has it."""

OF_GRID = ("spacing", "sitk_stuff", "nibabel_stuff")
"""What nnU-Net's readers say of a grid."""


TOLD_FROM = 1.0
"""Degrees; fewer are how patients lie."""


class OrientationRecord(TypedDict):
    """What the books say of a case.

    Attributes:
        stored: The orientation of its file.
        model: The one that it was segmented in; None for a model that knows none, which takes cases as stored.
        oblique_degrees: How far its axes lie off those of the orientation at most.
    """

    stored: str
    model: str | None
    oblique_degrees: float


class OrientedReader(BaseReaderWriter):
    """One of nnU-Net's readers, for a model: it reads to the model's orientation and writes to that of the case.

    What has no place in space, a picture or a 2D image, goes untouched. nnU-Net's readers that turn images themselves
    give one orientation, which is the model's.

    Args:
        reader: nnU-Net's.
        orientation: That of the model, see `nnunet_hetero.cases.orientation`.
    """

    def __init__(self, reader: BaseReaderWriter, orientation: str):
        self.reader = reader
        self.orientation = orientation
        self.supported_file_endings = reader.supported_file_endings

    def read_images(self, image_fnames: Sequence[str]) -> tuple[np.ndarray, dict]:
        """See nnU-Net; each file may have an orientation of its own. Properties are those of the first one."""
        read = [self._turned(self.reader.read_images([file])) for file in image_fnames]
        return np.concatenate([images for images, _ in read]), read[0][1]

    def read_seg(self, seg_fname: str) -> tuple[np.ndarray, dict]:
        """See nnU-Net."""
        return self._turned(self.reader.read_seg(seg_fname))

    def write_seg(self, seg: np.ndarray, output_fname: str, properties: dict) -> None:
        """See nnU-Net; ``properties`` are those that this reader gave."""
        self.reader.write_seg(as_stored(seg, properties), output_fname, stored_properties(properties))

    def _turned(self, read: tuple[np.ndarray, dict]) -> tuple[np.ndarray, dict]:
        images, properties = read
        return oriented(images, properties, self.orientation)


def oriented(images: np.ndarray, properties: dict, orientation: str | None) -> tuple[np.ndarray, dict]:
    """Images as one of nnU-Net's readers gives them, brought to an orientation.

    Args:
        images: ``(C, z, y, x)``.
        properties: The reader's.
        orientation: None leaves them as they are.

    Returns:
        The images, and properties that fit them; `as_stored` and `stored_properties` lead back.
    """
    if orientation is None or STORED in properties or not has_place(properties):
        return images, properties
    grid = reader_geometry(images.shape[-3:], properties)
    if grid.problem():  # no orientation to speak of; who checks images tells
        return images, properties
    stored = axis_codes(grid.ras_affine)
    told = {key: properties[key] for key in OF_GRID if key in properties}
    known = {**properties, STORED: {"orientation": stored, "turned_to": orientation, "properties": told}}
    if stored == orientation:
        return images, known
    grid = turned_grid(grid, orientation)
    # Arrays have the axes of the file backwards.
    known["spacing"] = [properties["spacing"][axis] for axis in axes_of_turn(stored[::-1], orientation[::-1])]
    if "sitk_stuff" in told:
        known["sitk_stuff"] = {**told["sitk_stuff"], **_as_sitk(grid)}
    if "nibabel_stuff" in told:
        name = "reoriented_affine" if "reoriented_affine" in told["nibabel_stuff"] else "original_affine"
        known["nibabel_stuff"] = {**told["nibabel_stuff"], name: grid.ras_affine}
    return np.ascontiguousarray(turned(images, stored[::-1], orientation[::-1])), known


def as_stored(array: np.ndarray, properties: Mapping[str, Any]) -> np.ndarray:
    """What was made of a case, brought back to the axes of its own file.

    Args:
        array: ``(..., z, y, x)`` on the grid of the properties.
        properties: Those of the case.
    """
    stored = properties.get(STORED)
    if stored is None:
        return array
    return np.ascontiguousarray(turned(array, stored["turned_to"][::-1], stored["orientation"][::-1]))


def stored_properties(properties: dict) -> dict:
    """The properties of a case with the grid of its own file, as nnU-Net's reader gave it."""
    others = {key: value for key, value in properties.items() if key != STORED}
    return {**others, **properties[STORED]["properties"]} if STORED in properties else others


def stored_orientation(properties: Mapping[str, Any]) -> str | None:
    """The orientation of a case's own file; None for what has no place in space, a picture or a 2D image.

    Args:
        properties: Those of nnU-Net's reader, or of `oriented`.
    """
    if STORED in properties:
        return properties[STORED]["orientation"]
    return axis_codes(_grid(properties).ras_affine) if has_place(properties) else None


def has_place(properties: Mapping[str, Any]) -> bool:
    """Whether a reader says where in the patient an image lies."""
    return "nibabel_stuff" in properties or len(properties.get("sitk_stuff", {}).get("spacing", ())) == 3


def orientation_record(properties: Mapping[str, Any]) -> OrientationRecord | None:
    """What the books say of a case's orientation; None for what has no place in space."""
    stored = stored_orientation(properties)
    if stored is None:
        return None
    of_file = _turned_by_reader(properties) or stored
    known = None if of_file == stored else stored
    angle = angle_off_axes(_grid(properties).ras_affine)
    return {
        "stored": of_file,
        "model": properties[STORED]["turned_to"] if STORED in properties else known,
        "oblique_degrees": round(angle, 1),
    }


def _turned_by_reader(properties: Mapping[str, Any]) -> str | None:
    """The orientation of the file where nnU-Net's reader has turned the image; None for other readers."""
    told = stored_properties(dict(properties))
    nibabel_stuff, sitk_stuff = told.get("nibabel_stuff", {}), told.get("sitk_stuff", {})
    if "reoriented_affine" in nibabel_stuff:
        return axis_codes(nibabel_stuff["original_affine"])
    return sitk_stuff.get("original_orientation")


def orientation_in_words(entry: OrientationRecord | None) -> str:
    """What was done with the axes of a case, for the user; empty if there is nothing to say."""
    if entry is None:
        return ""
    turn = f"{entry['stored']} turned to {entry['model']}" if entry["model"] not in (None, entry["stored"]) else ""
    angle = f"{entry['oblique_degrees']:g} degrees oblique" if entry["oblique_degrees"] >= TOLD_FROM else ""
    return ", ".join(filter(None, (turn, angle)))


def _grid(properties: Mapping[str, Any]) -> Geometry:
    return reader_geometry((1, 1, 1), properties)


def _as_sitk(grid: Geometry) -> dict[str, tuple[float, ...]]:
    return {
        "spacing": tuple(grid.spacing.tolist()),
        "origin": tuple(grid.origin.tolist()),
        "direction": tuple(grid.direction.ravel().tolist()),
    }
