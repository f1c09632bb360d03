"""Pictures that need no script: slices of a case, for browsers without WebGL 2 and for the list of cases."""

from __future__ import annotations

import base64
import io

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from PIL import Image, ImageDraw

from nnunet_hetero.viewer.layers import COLOURS, CaseView

THUMBNAIL = 160
"""Longest edge in pixels."""


def start_voxel(view: CaseView) -> tuple[int, int, int]:
    """A voxel in the middle of the first region that is there, where its slices are largest; else the middle."""
    data = view.prediction.data
    for region in view.regions.values():
        mask = np.isin(data, np.atleast_1d(region))
        if mask.any():
            slice_of_most = int(mask.sum(axis=(0, 1)).argmax())
            places = np.argwhere(mask[:, :, slice_of_most])
            middle = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
            return int(middle[0]), int(middle[1]), slice_of_most
    x, y, z = (int(size // 2) for size in data.shape)
    return x, y, z


def slices(view: CaseView) -> list[str]:
    """The slices through the start with the regions, as data addresses of JPEG files: axial, coronal, sagittal."""
    colours, start, edges = _coloured(view)
    axes = [axis for axis in (2, 1, 0) if colours.shape[2] > 1 or axis == 2]
    return [_address(_slice(colours, axis, start[axis], edges)) for axis in axes]


def thumbnail(view: CaseView) -> str:
    """The axial slice, small, as the data address of a JPEG file."""
    colours, start, edges = _coloured(view)
    image = _slice(colours, 2, start[2], edges)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return _address(image)


def _coloured(view: CaseView) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """The first image with regions in colour, axes to the right, front and top; the start; the edges of a voxel."""
    picture = view.backgrounds[0].picture
    low, high = picture.window()
    grey = np.clip((np.nan_to_num(picture.data) - low) / (high - low), 0, 1) * 255
    colours = np.repeat(grey[..., None], 3, axis=3).astype(np.float32)
    for number, region in enumerate(view.regions.values()):
        mask = np.isin(view.prediction.data, np.atleast_1d(region))
        ink = np.array([int(COLOURS[number % len(COLOURS)][at : at + 2], 16) for at in (1, 3, 5)])
        colours[mask] = 0.55 * colours[mask] + 0.45 * ink
    turn = io_orientation(view.prediction.affine)
    start = np.zeros(picture.data.shape, bool)
    start[start_voxel(view)] = True
    edges = np.linalg.norm(view.prediction.affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    turned = apply_orientation(colours, turn)
    return turned, tuple(int(index) for index in np.argwhere(apply_orientation(start, turn))[0]), edges


def _slice(colours: np.ndarray, axis: int, index: int, edges: np.ndarray) -> Image.Image:
    """One slice as radiologists look at it: the patient's right on the left, front or top upwards."""
    plane = colours.take(index, axis).transpose(1, 0, 2)[::-1]
    image = Image.fromarray(np.ascontiguousarray(plane if axis == 0 else plane[:, ::-1]).astype(np.uint8))
    across, up = (edges[other] for other in range(3) if other != axis)
    finest = min(across, up)
    image = image.resize((round(2 * image.width * across / finest), round(2 * image.height * up / finest)))
    if axis != 0:
        ImageDraw.Draw(image).text((3, 3), "R", fill=(255, 255, 255))
    return image


def _address(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
