"""One slice of every evaluated case, kept for the report: its images, the truth, and the prediction of each subset."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replace_bytes

LARGEST_SIDE = 512
"""Pixels; larger slices are thinned out."""


@dataclass(frozen=True)
class Snapshot:
    """A slice of a case, cropped to the head.

    Args:
        images: ``(M, Y, X)`` uint8, each image windowed to its 1st to 99th percentile; absent modalities are zero.
        truth: True label map, ``(Y, X)``.
        predictions: Label map ``(Y, X)`` by subset, e.g. ``T1+FLAIR``.
        spacing: Of the pixels, (y, x), mm.
        position: Which slice of the case it is.
    """

    images: np.ndarray
    truth: np.ndarray
    predictions: dict[str, np.ndarray]
    spacing: tuple[float, float]
    position: int


def save_snapshot(
    folder: str | os.PathLike,
    case: str,
    subset: str,
    images: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    spacing: tuple[float, float, float],
    tissue: np.ndarray | None = None,
) -> Path:
    """Keep the axial slice with the largest true foreground of a case (with none: the largest slice of the head).

    Predictions of the case's other subsets stay, unless the case itself has changed.

    Args:
        folder: Of the evaluation; the file is ``snapshots/CASE.npz`` in it.
        case: Case identifier.
        subset: Names of the modalities that were given, joined with ``+``.
        images: All images of the case, ``(M, Z, Y, X)``, absent ones zero.
        truth: True label map, ``(Z, Y, X)``.
        prediction: Predicted label map, ``(Z, Y, X)``.
        spacing: Of the voxels, (z, y, x), mm.
        tissue: Where each image shows something, ``(M, Z, Y, X)`` bool; None is where it is not zero.

    Returns:
        The file.

    Raises:
        ValueError: If the shapes differ.
    """
    if not images.shape[1:] == truth.shape == prediction.shape:
        raise ValueError(f"Shapes differ: images {images.shape[1:]}, truth {truth.shape}, {prediction.shape}.")
    tissue = images != 0 if tissue is None else tissue
    areas = (truth > 0).sum(axis=(1, 2))
    position = int((areas if areas.any() else tissue.any(axis=0).sum(axis=(1, 2))).argmax())
    window = _window(tissue[:, position].any(axis=0) | (truth[position] > 0))
    part = (slice(None), position, *window)
    snapshot = Snapshot(
        np.stack([_to_uint8(*pair) for pair in zip(images[part], tissue[part], strict=True)]),
        _labels(truth[position][window]),
        {subset: _labels(prediction[position][window])},
        tuple(size * part.step for size, part in zip(spacing[1:], window, strict=True)),
        position,
    )
    earlier = load_snapshot(folder, case)
    if earlier is not None and _same_case(earlier, snapshot):
        snapshot.predictions.update({name: earlier.predictions[name] for name in earlier.predictions if name != subset})
    file = _file(folder, case)
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        images=snapshot.images,
        truth=snapshot.truth,
        subsets=np.array(list(snapshot.predictions)),
        predictions=np.stack(list(snapshot.predictions.values())),
        spacing=np.array(snapshot.spacing, float),
        position=np.array(position),
    )
    replace_bytes(file, stream.getvalue())
    return file


def load_snapshot(folder: str | os.PathLike, case: str) -> Snapshot | None:
    """The slice that `save_snapshot` kept of a case, or None if there is none.

    Raises:
        DataError: If the file is damaged.
    """
    file = _file(folder, case)
    if not os.path.lexists(file):
        return None
    try:
        with np.load(file, allow_pickle=False) as content:
            names = content["subsets"].tolist()
            return Snapshot(
                content["images"],
                content["truth"],
                dict(zip(names, content["predictions"], strict=True)),
                tuple(content["spacing"].tolist()),
                int(content["position"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"Case '{case}': the slice kept for the report, {file}, is damaged ({error}). Delete it; evaluating the "
            "case again makes it anew."
        ) from error


def _file(folder: str | os.PathLike, case: str) -> Path:
    return Path(folder) / "snapshots" / f"{quote(case, safe=' +')}.npz"


def _same_case(one: Snapshot, other: Snapshot) -> bool:
    return (
        one.position == other.position
        and np.array_equal(one.images, other.images)
        and np.array_equal(one.truth, other.truth)
    )


def _window(inside: np.ndarray, margin: int = 2) -> tuple[slice, slice]:
    """The part of a slice with something in it and a margin, thinned out to at most `LARGEST_SIDE` pixels a side."""
    parts = []
    for axis in (1, 0):
        there = np.flatnonzero(inside.any(axis=axis))
        first, last = (there[0] - margin, there[-1] + margin + 1) if there.size else (0, inside.shape[1 - axis])
        parts.append((max(int(first), 0), min(int(last), inside.shape[1 - axis])))
    step = -(-max(last - first for first, last in parts) // LARGEST_SIDE)
    rows, columns = (slice(first, last, step) for first, last in parts)
    return rows, columns


def _to_uint8(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Grey values 1 to 255 between the 1st and the 99th percentile, 0 outside of the tissue."""
    if not inside.any():
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(image[inside], [1, 99])
    low = min(low, 0)  # the background of a skull-stripped image
    scaled = (image.astype(float) - low) / max(high - low, np.finfo(float).tiny)
    return np.where(inside, 1 + 254 * scaled.clip(0, 1), 0).round().astype(np.uint8)


def _labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
