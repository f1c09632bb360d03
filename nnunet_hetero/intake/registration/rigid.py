"""Rigid transforms: how far they move a head, and how far two of them are apart."""

from __future__ import annotations

import itertools

import numpy as np
import SimpleITK as sitk


def identity(centre: np.ndarray) -> sitk.Euler3DTransform:
    """The transform that moves nothing, and turns about ``centre``, (3,) mm."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(place) for place in centre])
    return transform


def shifted(centre: np.ndarray, shift: np.ndarray) -> sitk.Euler3DTransform:
    """A translation by ``shift``, (3,) mm, that turns about ``centre``."""
    transform = identity(centre)
    transform.SetTranslation([float(length) for length in shift])
    return transform


def inverse(transform: sitk.Euler3DTransform, centre: np.ndarray) -> sitk.Euler3DTransform:
    """The way back, which turns about ``centre``, (3,) mm; SimpleITK's own loses the type."""
    rotation = np.reshape(transform.GetMatrix(), (3, 3))
    back = np.array(transform.GetInverse().TransformPoint([float(place) for place in centre]))
    result = shifted(centre, back - centre)
    result.SetMatrix(rotation.T.ravel().tolist())
    return result


def degrees(transform: sitk.Euler3DTransform) -> float:
    """The angle that it turns by about its axis, whichever that is."""
    rotation = np.reshape(transform.GetMatrix(), (3, 3))
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def shift(transform: sitk.Transform, centre: np.ndarray) -> float:
    """How far a point is moved, mm."""
    there = transform.TransformPoint([float(place) for place in centre])
    return float(np.linalg.norm(np.array(there) - centre))


def box_corners(mask: sitk.Image) -> np.ndarray:
    """Outer corners of the box around what is not zero, (8, 3) mm; of all of the image if there is nothing."""
    values = sitk.GetArrayViewFromImage(mask) != 0
    places = values.nonzero() if values.any() else np.ones(values.shape, bool).nonzero()
    edges = [(float(place.min()) - 0.5, float(place.max()) + 0.5) for place in reversed(places)]
    return np.array([mask.TransformContinuousIndexToPhysicalPoint(corner) for corner in itertools.product(*edges)])


def distance(one: sitk.Transform, other: sitk.Transform, points: np.ndarray) -> float:
    """How far apart two transforms put points, the mean in mm.

    Args:
        one: A transform.
        other: Another one.
        points: (N, 3), mm.
    """
    pairs = [(one.TransformPoint(point), other.TransformPoint(point)) for point in points.tolist()]
    return float(np.mean([np.linalg.norm(np.subtract(*pair)) for pair in pairs]))
