"""Frames of a DICOM Segmentation as voxels of a grid."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.cohorts.dicom_study import header, oblique_affine
from pydicom.dataset import Dataset

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.frames import frame_affine, read_segments, sources_of

AFFINE = oblique_affine(6, (1.0, 2.0, 3.0))
GRID = Geometry((5, 6, 4), np.array([1.0, 2, 3]), AFFINE[:3, :3] / [1, 2, 3], AFFINE[:3, 3])


def frame(place: int, segment: int, shift: float = 0.0) -> Dataset:
    position = AFFINE[:3, :3] @ (0, 0, place) + AFFINE[:3, 3] + shift
    return header(
        PlanePositionSequence=[header(ImagePositionPatient=[*position])],
        SegmentIdentificationSequence=[header(ReferencedSegmentNumber=segment)],
    )


def segmentation(monkeypatch, frames, pixels):
    cosines = (AFFINE[:3, :2] / [1, 2]).T.ravel()
    data = SimpleNamespace(
        SegmentSequence=[header(SegmentNumber=1, SegmentLabel="a"), header(SegmentNumber=2, SegmentLabel="b")],
        SharedFunctionalGroupsSequence=[
            header(
                PlaneOrientationSequence=[header(ImageOrientationPatient=[*cosines])],
                PixelMeasuresSequence=[header(PixelSpacing=[2.0, 1.0])],
            )
        ],
        PerFrameFunctionalGroupsSequence=frames,
        pixel_array=pixels,
    )
    monkeypatch.setattr("pydicom.dcmread", lambda file: data)
    return data


def test_voxels(monkeypatch, tmp_path):
    pixels = np.zeros((2, 6, 5))
    pixels[0, 4, 1] = pixels[1, 0, 3] = 1  # (frame, row, column)
    data = segmentation(monkeypatch, [frame(2, 2), frame(0, 1)], pixels)
    masks = read_segments(tmp_path / "a.dcm", GRID)
    assert np.argwhere(masks["b"]).tolist() == [[1, 4, 2]] and np.argwhere(masks["a"]).tolist() == [[3, 0, 0]]
    assert np.allclose(frame_affine(data, frame(2, 1)) @ (1, 4, 1), (AFFINE @ (1, 4, 2, 1))[:3])


def test_a_single_frame(monkeypatch, tmp_path):
    segmentation(monkeypatch, [frame(1, 1)], np.eye(6, 5))
    assert np.count_nonzero(read_segments(tmp_path / "a.dcm", GRID)["a"]) == 5


@pytest.mark.parametrize(("place", "shift"), [(1, 0.5), (7, 0.0)])
def test_a_frame_elsewhere(monkeypatch, tmp_path, place, shift):
    segmentation(monkeypatch, [frame(place, 1, shift)], np.ones((1, 6, 5)))
    with pytest.raises(DataError, match="does not lie on the grid"):
        read_segments(tmp_path / "a.dcm", GRID)


def test_sources():
    images = [
        header(ReferencedSOPInstanceUID="1.2.3"),
        header(ReferencedSOPInstanceUID="1.2.4", ReferencedFrameNumber=7),
    ]
    groups = header(DerivationImageSequence=[header(SourceImageSequence=images)])
    assert sources_of(groups) == [("1.2.3", None), ("1.2.4", 7)]
    assert sources_of(header()) == []
