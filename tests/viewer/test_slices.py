"""Pictures without a script: left and right, and what is marked."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from helpers.looking.viewed import write_viewed
from PIL import Image

from nnunet_hetero.viewer.case_folder import CaseFolder
from nnunet_hetero.viewer.slices import THUMBNAIL, slices, start_voxel, thumbnail


def image_of(address: str) -> np.ndarray:
    kind, data = address.split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(float)


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "RAI", "PIR", "SAL"])
def test_the_patients_left_is_on_the_right(tmp_path, orientation):
    files = write_viewed(tmp_path, orientation=orientation)
    view = CaseFolder(files.output, files.images).view("a")
    axial, coronal, sagittal = (image_of(address) for address in slices(view))
    for picture in (axial, coronal):
        saturation = picture.max(axis=2) - picture.min(axis=2)
        columns = np.flatnonzero((saturation > 40).any(axis=0))
        # The region and the brighter half of the head are on the patient's left.
        assert columns.mean() > 0.6 * picture.shape[1]
        rest = np.where(saturation > 40, 0, picture.mean(axis=2))
        halves = rest[:, : picture.shape[1] // 2], rest[:, picture.shape[1] // 2 :]
        right, left = (np.median(half[half > 20]) for half in halves)
        assert left > 1.5 * right
    rows = np.flatnonzero(((axial.max(axis=2) - axial.min(axis=2)) > 40).any(axis=1))
    # 16 of 44 voxels from the front, which is up.
    assert rows.mean() / axial.shape[0] == pytest.approx(16 / 44, abs=0.06)
    assert sagittal.shape[0] == coronal.shape[0]


def test_the_start_is_inside_of_the_first_region(tmp_path):
    files = write_viewed(tmp_path)
    view = CaseFolder(files.output, files.images).view("a")
    assert view.prediction.data[start_voxel(view)] > 0


def test_a_case_without_a_region_starts_in_the_middle(tmp_path):
    files = write_viewed(tmp_path)
    view = CaseFolder(files.output, files.images).view("a")
    view.prediction.data[:] = 0
    assert start_voxel(view) == (20, 22, 16)


def test_thumbnails_are_small(tmp_path):
    files = write_viewed(tmp_path)
    address = thumbnail(CaseFolder(files.output, files.images).view("a"))
    assert max(image_of(address).shape) <= THUMBNAIL and len(address) < 12_000
