"""Registration finds known motions, says how sure it is, and is the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import motion, moved, phantom_images

from nnunet_hetero.intake.registration.register import LEVELS, register, too_small
from nnunet_hetero.intake.registration.rigid import box_corners, identity


def _error(found: sitk.Transform, truth: sitk.Transform, image: sitk.Image) -> float:
    """Mean distance of the head's corners after registration and back, mm."""
    corners = box_corners(image).tolist()
    there = [truth.TransformPoint(found.TransformPoint(corner)) for corner in corners]
    return float(np.mean(np.linalg.norm(np.array(there) - corners, axis=1)))


@pytest.fixture(scope="module")
def images():
    return phantom_images()


@pytest.fixture(scope="module")
def found(images):
    return register(images["T1"], moved(images["T2"], motion(images["T2"])))


def test_a_known_motion_is_found(images, found):
    """To a sixth of a voxel."""
    truth = motion(images["T2"])
    assert _error(identity(np.zeros(3)), truth, images["T2"]) > 9
    assert _error(found.transform, truth, images["T2"]) < 1.0
    assert found.after > 1.3 * found.before > 0
    assert found.shift == pytest.approx(np.linalg.norm([7, -4, 5]), abs=2)
    assert found.degrees == pytest.approx(8, abs=1)
    assert found.overlap > 0.95 and found.disagreement < 1.0


def test_the_same_twice(images, found):
    again = register(images["T1"], moved(images["T2"], motion(images["T2"])))
    assert again.transform.GetParameters() == found.transform.GetParameters()
    assert (again.before, again.after, again.disagreement) == (found.before, found.after, found.disagreement)


def test_headers_without_an_origin(images):
    """Off by more than a head: the middles of both images are tried as well."""
    lost = sitk.Image(moved(images["T1c"], motion(images["T1c"])))
    lost.SetOrigin([origin + 400.0 for origin in lost.GetOrigin()])
    found = register(images["T1"], lost)
    assert found.shift > 300 and found.overlap > 0.95 and found.before == pytest.approx(0, abs=0.01)


def test_no_tissue_in_common(images):
    """Noise has no place: two fits do not agree, or nothing fits."""
    noise = np.random.default_rng(0).gamma(2, 50, (20, 20, 20)).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing([6.0] * 3)
    image.SetOrigin(images["T1"].GetOrigin())
    found = register(images["T1"], image)
    assert found.disagreement > 1.5 or found.after < 0.1 or found.overlap < 0.5


def test_levels_finer_than_the_images_are_left_out(images, monkeypatch):
    edges = []
    from nnunet_hetero.intake.registration import register as module

    real = module.working_image
    monkeypatch.setattr(module, "working_image", lambda image, edge: (edges.append(edge), real(image, edge))[1])
    register(images["T1"], images["T2"], LEVELS)
    assert set(edges) == {8.0, 4.0}


@pytest.mark.parametrize(("size", "small"), [((24, 24, 24), True), ((24, 24, 3), True), ((25, 26, 27), False)])
def test_images_that_are_too_small(size, small):
    """What counts as large enough does not end in an error of ITK's."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).random(size[::-1]).astype(np.float32))
    other = sitk.Image(image)
    other.SetOrigin((2, 1, 1))
    reason = too_small(image, other)
    assert (reason is not None) is small
    if small:
        assert "is too small; expected are more than 24 mm" in reason
    else:
        register(image, other)
