"""Slices, whether each has a file of its own or all of them one."""

from __future__ import annotations

import numpy as np
from helpers.cohorts.dicom_study import header

from nnunet_hetero.intake.dicom.slices import flat_headers, slices_of
from nnunet_hetero.intake.dicom.values import number, numbers


def enhanced(**elements):
    place = [header(PlanePositionSequence=[header(ImagePositionPatient=[0, 0, number])]) for number in (3, 6)]
    place[1].MREchoSequence = [header(EffectiveEchoTime=20.0)]
    shared = header(
        PixelMeasuresSequence=[header(PixelSpacing=[1, 2])],
        MREchoSequence=[header(EffectiveEchoTime=10.0)],
        UnassignedSharedConvertedAttributesSequence=[header(RepetitionTime=500.0)],
    )
    return header(
        NumberOfFrames=2,
        Rows=4,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=place,
        **elements,
    )


def test_a_file_per_slice():
    one = header(Rows=4)
    assert [*flat_headers(one)] == [one]
    (found,) = slices_of([("a.dcm", one)])
    assert (found.file, found.frame, found.alone, str(found)) == ("a.dcm", 1, True, "a.dcm")


def test_all_in_one_file():
    """What a frame says goes before what all share."""
    first, second = slices_of([("a.dcm", enhanced())])
    assert (second.file, second.frame, second.alone, str(second)) == ("a.dcm", 2, False, "a.dcm, frame 2")
    assert np.array_equal(numbers(first.header, "ImagePositionPatient", 3), [0, 0, 3])
    assert np.array_equal(numbers(second.header, "PixelSpacing", 2), [1, 2]) and number(second.header, "Rows") == 4
    assert [number(one.header, "EchoTime") for one in (first, second)] == [10, 20]
    assert number(first.header, "RepetitionTime") == 500


def test_frames_that_do_not_say_where_they_lie():
    assert slices_of([("a.dcm", header(NumberOfFrames=3))]) == []
