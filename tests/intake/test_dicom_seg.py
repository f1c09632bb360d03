"""Label maps as DICOM Segmentations, read back by others: own arithmetic, and dcmqi."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers.cohorts.dicom_study import MAY_BE_REMOVED, as_enhanced, edit, oblique_affine
from helpers.phantoms import phantom

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake import dicom_seg
from nnunet_hetero.intake.dicom_seg import segments_of, write_segmentation
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.opening import opened
from nnunet_hetero.modalities import Modalities

pytest.importorskip("highdicom")  # no wheels for Python 3.14

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
REGIONS = {"background": 0, "whole_tumor": [1, 2, 4], "tumor_core": [1, 4], "enhancing_tumor": 4, "ignore": 5}


def row_of(folder: Path, modality: str = "T1c"):
    return next(row for row in find_series(folder, BRATS) if row.modality == modality)


def label_map_on(image: sitk.Image) -> sitk.Image:
    """The phantom's labels on the grid of a series, whichever way its axes run."""
    truth, affine = phantom(1)["seg"], oblique_affine()
    label_map = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    label_map.CopyInformation(image)
    for index in np.argwhere(truth):
        point = affine[:3, :3] @ index + affine[:3, 3]
        label_map[label_map.TransformPhysicalPointToIndex([float(value) for value in point])] = int(truth[tuple(index)])
    return label_map


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    """A series, the label map on it, and the file."""
    folder = tmp_path_factory.mktemp("seg")
    (folder / "scratch").mkdir()
    row = row_of(study)
    label_map = label_map_on(opened(row, study, folder / "scratch"))
    write_segmentation(label_map, REGIONS, row, study, folder / "out/Fall 1.dcm")
    return row, label_map, folder / "out/Fall 1.dcm"


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_the_frames_sit_on_the_tumour(study, written):
    """From the bytes of the file to voxels of the phantom, with nothing of the package between."""
    row, _, file = written
    data = pydicom.dcmread(file)
    truth, to_voxel = phantom(1)["seg"], np.linalg.inv(oblique_affine())
    files = [pydicom.dcmread(source, stop_before_pixels=True) for source in sorted((study / row.place).iterdir())]
    images = {image.SOPInstanceUID: np.array(image.ImagePositionPatient, float) for image in files}
    shared = data.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    rows, columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found = {int(segment.SegmentNumber): np.zeros(truth.shape, bool) for segment in data.SegmentSequence}
    frames = 0
    for frame, groups in zip(data.pixel_array, data.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert np.allclose(images[source], first, atol=1e-3)
        for y, x in np.argwhere(frame):
            point = first + cosines[:3] * x * columns + cosines[3:] * y * rows
            voxel = tuple(np.rint(to_voxel @ [*point, 1]).astype(int)[:3])
            found[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber][voxel] = True
        frames += 1
    names = {segment.SegmentLabel: found[segment.SegmentNumber] for segment in data.SegmentSequence}
    assert list(names) == ["whole_tumor", "tumor_core", "enhancing_tumor"] and frames > 3
    assert dice(names["whole_tumor"], truth > 0) == 1
    assert dice(names["tumor_core"], np.isin(truth, (1, 4))) == 1
    assert dice(names["enhancing_tumor"], truth == 4) == 1


def test_what_its_header_says(study, written):
    data = pydicom.dcmread(written[2], stop_before_pixels=True)
    source = pydicom.dcmread(next((study / written[0].place).iterdir()), stop_before_pixels=True)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert data[keyword].value == source[keyword].value
    assert data.Modality == "SEG" and data.SeriesInstanceUID != source.SeriesInstanceUID
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == written[0].inner
    codes = [segment.SegmentedPropertyTypeCodeSequence[0] for segment in data.SegmentSequence]
    assert [(code.CodeValue, code.CodingSchemeDesignator) for code in codes] == [
        ("108369006", "SCT"),
        ("tumor_core", "99NNUNET_HETERO"),
        ("C113842", "NCIt"),
    ]
    assert {segment.SegmentAlgorithmType for segment in data.SegmentSequence} == {"AUTOMATIC"}


def test_dcmqi_reads_it(written, tmp_path):
    program = Path(sys.executable).with_name("segimage2itkimage")
    if not program.is_file():
        pytest.skip("dcmqi is not installed")
    _, label_map, file = written
    command = [program, "--inputDICOM", file, "--outputDirectory", tmp_path, "-t", "nifti"]
    subprocess.run(command, check=True, capture_output=True)
    meta = json.loads(next(tmp_path.glob("*.json")).read_text("utf-8"))
    for number, attributes in enumerate(meta["segmentAttributes"], 1):
        image = sitk.ReadImage(str(tmp_path / f"{number}.nii.gz"))
        expected = np.isin(sitk.GetArrayFromImage(label_map), segments_of(REGIONS)[attributes[0]["SegmentLabel"]])
        on_ours = sitk.Resample(image, label_map, sitk.Transform(), sitk.sitkNearestNeighbor)
        assert dice(sitk.GetArrayFromImage(on_ours) > 0, expected) >= 0.99


@pytest.mark.parametrize("orientation", ["RAS", "PIL", "SAR"])
def test_axes_in_any_order(study, written, tmp_path, orientation):
    row, label_map, file = written
    write_segmentation(reoriented(label_map, orientation), REGIONS, row, study, tmp_path / "a.dcm")
    assert np.array_equal(pydicom.dcmread(tmp_path / "a.dcm").pixel_array, pydicom.dcmread(file).pixel_array)


def test_labels_without_regions_and_no_tumour(study, written, tmp_path):
    row, label_map, _ = written
    labels = {"background": 0, "Nekrose": 1, "edema": 2}
    write_segmentation(label_map * 0, labels, row, study, tmp_path / "a.dcm")
    data = pydicom.dcmread(tmp_path / "a.dcm")
    assert [segment.SegmentLabel for segment in data.SegmentSequence] == ["Nekrose", "edema"]
    assert not data.pixel_array.any()


def test_a_study_in_a_zip_that_was_anonymised(study, written, tmp_path):
    shutil.copytree(study / "Fall 1", tmp_path / "export")
    for file in (tmp_path / "export").rglob("*.dcm"):
        edit(file, remove=MAY_BE_REMOVED)
    (tmp_path / "in").mkdir()
    shutil.make_archive(str(tmp_path / "in/Fall 1"), "zip", tmp_path / "export")
    write_segmentation(written[1], REGIONS, row_of(tmp_path / "in"), tmp_path / "in", tmp_path / "a.dcm")
    assert np.array_equal(pydicom.dcmread(tmp_path / "a.dcm").pixel_array, pydicom.dcmread(written[2]).pixel_array)


def test_all_slices_in_one_file(study, written, tmp_path):
    """Frames refer to frames, whatever their order."""
    row, label_map, file = written
    shutil.copytree(study / row.place, tmp_path / "in/a")
    as_enhanced(tmp_path / "in/a", order=(3, 1, 0, 2, *range(4, 24)))
    (enhanced,) = find_series(tmp_path / "in", BRATS)
    assert enhanced.modality == "T1c"
    write_segmentation(label_map, REGIONS, enhanced, tmp_path / "in", tmp_path / "a.dcm")
    found, before = pydicom.dcmread(tmp_path / "a.dcm"), pydicom.dcmread(file)
    assert found.pixel_array.sum() == before.pixel_array.sum() > 0


def test_another_grid(study, written, tmp_path):
    row, label_map, _ = written
    label_map = sitk.Image(label_map)
    label_map.SetOrigin([value + 2 for value in label_map.GetOrigin()])
    with pytest.raises(DataError, match=r"Case 'Fall 1', .* lies on another grid, origin"):
        write_segmentation(label_map, REGIONS, row, study, tmp_path / "a.dcm")
    assert not [*tmp_path.iterdir()]


def test_a_series_that_is_none(study, written, tmp_path):
    from nnunet_hetero.intake.series import Series

    with pytest.raises(DataError, match="is no DICOM series"):
        write_segmentation(written[1], REGIONS, Series("a", "a/t1.nii.gz", "T1", "sure", ""), study, tmp_path / "a.dcm")


def test_what_was_written_elsewhere_is_not_published(study, written, tmp_path, monkeypatch):
    row, label_map, _ = written
    make = dicom_seg._segmentation

    def shifted(masks, sources):
        return make({name: np.roll(mask, 1, 0) for name, mask in masks.items()}, sources)

    monkeypatch.setattr(dicom_seg, "_segmentation", shifted)
    with pytest.raises(DataError, match="are not where they belong"):
        write_segmentation(label_map, REGIONS, row, study, tmp_path / "a.dcm")

    def of_another_slice(masks, sources):
        data = make(masks, sources)
        image = data.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
        image.ReferencedSOPInstanceUID = sources[-1].SOPInstanceUID
        return data

    monkeypatch.setattr(dicom_seg, "_segmentation", of_another_slice)
    with pytest.raises(DataError, match="refers to another image"):
        write_segmentation(label_map, REGIONS, row, study, tmp_path / "a.dcm")
    assert not [*tmp_path.iterdir()]


def test_without_highdicom(study, written, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(SettingsError, match=r"needs highdicom .*nnunet-hetero\[dicom\]"):
        write_segmentation(written[1], REGIONS, written[0], study, tmp_path / "a.dcm")
