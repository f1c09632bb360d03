"""Slices that make a volume, and all ways in which they do not."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.cohorts.dicom_study import TAGS, Patient, header, oblique_affine, one_slice

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.stack import stack_of

SIZE = 8


def slices(affine=None, places=range(SIZE), **tags):
    affine = oblique_affine(SIZE, (1.0, 1.0, 3.0)) if affine is None else affine
    pixels, tags, owner = np.zeros((5, 6)), {**TAGS["t2"], **tags}, Patient("a", "1.2", "1.3")
    made = [one_slice(pixels, affine, place, tags, owner) for place in places]
    return [(f"{number}.dcm", header) for number, header in enumerate(made)]


def test_in_any_order():
    affine = oblique_affine(SIZE, (1.0, 2.0, 3.0))
    files = slices(affine)
    stack = stack_of([files[place] for place in (3, 0, 7, 5, 1, 2, 6, 4)])
    assert stack.files == tuple(f"{number}.dcm" for number in range(SIZE))
    assert stack.geometry.shape == (5, 6, SIZE)
    assert np.allclose(stack.geometry.affine, affine, atol=1e-4)


def test_slices_in_the_other_direction():
    """The third axis is that of the slices' normal, whichever way they were acquired."""
    affine = oblique_affine(SIZE, (1.0, 1.0, 3.0))
    affine[:3, 2] *= -1
    stack = stack_of(slices(affine))
    assert stack.files[0] == f"{SIZE - 1}.dcm"
    assert np.allclose(stack.geometry.affine[:3, 2], -affine[:3, 2], atol=1e-4)


def test_rounded_positions():
    files = slices()
    for _, one in files:
        one.ImagePositionPatient = [round(value, 2) for value in one.ImagePositionPatient]
    assert stack_of(files).geometry.spacing[2] == pytest.approx(3, abs=0.05)


def changed(keyword, value, which=2):
    files = slices()
    setattr(files[which][1], keyword, value)
    return files


def lacking(keyword):
    files = slices()
    delattr(files[2][1], keyword)
    return files


def twice(**elements):
    files = slices() + [(f"copy of {name}", header) for name, header in slices(**elements)]
    return files


def copied():
    files = slices()
    return [*files, ("copy.dcm", files[3][1])]


def tilted():
    affine = oblique_affine(SIZE, (1.0, 1.0, 3.0))
    straight = slices(affine)
    for place, (_, one) in enumerate(straight):
        one.ImagePositionPatient = [*(np.array(one.ImagePositionPatient) + affine[:3, 1] * 0.4 * place)]
        one.GantryDetectorTilt = 7.6
    return straight


CASES = {
    "gap": (
        slices(places=(0, 1, 2, 5, 6, 7)),
        r"slices are missing: between 2\.dcm and 3\.dcm are 9 mm, ",
    ),
    "uneven": (slices(places=(0, 1, 2, 3.4, 4.4)), "unevenly spaced"),
    "doubled": (twice(), r"slices are there twice: 16 slices lie at 8 places"),
    "copied": (copied(), r"the same slice is there twice, as 3\.dcm and copy\.dcm"),
    "4D, echoes": (twice(EchoTime=20.0), r"several volumes \(4D\): .* different echoes \(EchoTime"),
    "4D, time": (twice(TemporalPositionIdentifier=2), r"several volumes \(4D\): .* time points"),
    "tilted": (tilted(), r"shifted against each other by 0\.4 mm each .*GantryDetectorTilt is 7\.6"),
    "frames without places": (
        [("a.dcm", header(NumberOfFrames=40, SOPInstanceUID="1.2"))],
        "does not say where they lie",
    ),
    "directions": (changed("ImageOrientationPatient", [1, 0, 0, 0, 1, 0]), "different directions"),
    "pixels": (changed("PixelSpacing", [2, 2]), "different edges of a pixel"),
    "pixels without size": (slices(PixelSpacing=[0, 1]), r"pixels with edges of \(0, 1\) mm"),
    "no plane": (slices(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), r"directions \(1, 0, 0, 1, 0, 0\); expected"),
    "sizes": (changed("Rows", 7), "different sizes"),
    "no position": (lacking("ImagePositionPatient"), "has no valid ImagePositionPatient"),
    "no orientation": (lacking("ImageOrientationPatient"), "has no valid ImageOrientationPatient"),
    "two echoes between each other": (
        changed("EchoTime", 20.0),
        r"of different images: 0\.dcm has EchoTime 95\.0, 2\.dcm",
    ),
    "one with an agent": (changed("ContrastBolusAgent", "Gadovist"), "ContrastBolusAgent empty, .* Gadovist"),
    "moved between": (changed("FrameOfReferenceUID", "1.7"), "has FrameOfReferenceUID"),
    "inverted": (slices(PhotometricInterpretation="MONOCHROME1"), "to be shown inverted"),
    "one slice": (slices(places=(0,)), "it has one slice"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_volume(name):
    files, message = CASES[name]
    with pytest.raises(DataError, match=message):
        stack_of(files)


def test_times_may_differ_a_little():
    assert stack_of(changed("RepetitionTime", 5100.0)).geometry.shape[2] == SIZE
