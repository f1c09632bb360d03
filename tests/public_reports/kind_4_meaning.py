"""Kind 4: a number with another meaning. In CT zero is water; a picture has no volume."""

from __future__ import annotations

import numpy as np
from helpers.tiny_model import SHAPE, read_array, write_image, write_tiny_model
from public_reports.situation import MODEL, QUICK, Place, Situation

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


def _air_around_and_no_holes(place: Place) -> None:
    completed = read_array(place.out / "completed" / "a_0001.nii.gz")
    assert np.all(completed[~_body()] == LOWER_CLIP)
    assert completed[WATER] != LOWER_CLIP


SITUATIONS = [
    Situation("15", "a completed CT, and 0 HU inside of one", _complete_a_ct, 0, check=_air_around_and_no_holes),
]
