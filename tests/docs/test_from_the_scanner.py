"""The page on DICOM, as a clinical engineer would follow it: every command of it is run, in its order."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers.cohorts.dicom_study import TAGS, Patient, oblique_affine, write_localizer, write_series
from helpers.tiny_model import write_tiny_model

from nnunet_hetero.cli.main import main
from nnunet_hetero.dataset_conversion.phantom import make_phantom

pytest.importorskip("highdicom")  # no wheels for Python 3.14

PAGE = Path(__file__).parents[2] / "docs/how-to/from-the-scanner.md"
COMMANDS = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

SIZE, EDGE = 32, 6.0  # voxels a side, mm
AFFINE = oblique_affine(SIZE, (EDGE,) * 3)
MOVED = np.array([[1.0, 0, 0, 5], [0, 1, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1]])


QUICK = {
    "intake": ["-np", "0"],
    "predict": ["-device", "cpu", "-npp", "0", "-nps", "0", "--disable_tta"],
    "return": ["-np", "0"],
}
"""Flags that only make it faster here."""


def test_there_are_ten_commands_at_most():
    assert 3 <= len("".join(COMMANDS).splitlines()) <= 10


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Where the commands ran, and what they said. The FLAIR was taken in another session; there is no T1."""
    folder = tmp_path_factory.mktemp("scanner")
    model = write_tiny_model(folder / "model", spacing=EDGE)
    images, owner = make_phantom(1, SIZE, seed=3), Patient()
    study = folder / "HOSPITAL/Fall 1 Ä"
    for name in ("t1ce", "t2"):
        write_series(study / "DICOM" / name, images[name], AFFINE, TAGS[name], owner)
    write_series(study / "flair", images["flair"], MOVED @ AFFINE, TAGS["flair"], Patient(study=owner.study))
    write_series(study / "DICOM/adc", images["t2"] // 4, AFFINE, TAGS["adc"], owner)
    write_localizer(study / "DICOM/loc", owner)
    said = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        for line in "".join(COMMANDS).splitlines():
            program, *words = line.replace("MODEL_FOLDER", str(model.folder)).split()
            if program != "nnunet_hetero":
                if program == "python" and words[0].startswith("benchmarks/"):
                    continue  # needs real cases, and takes hours
                assert (program, words[0]) == ("pip", "install"), f"{line}: a command that this test does not know"
                continue
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert main([*words, *QUICK[words[0]]]) == 0, f"{line}: {printed.getvalue()}"
            said.append(printed.getvalue())
    return folder, said


def test_what_is_used(followed):
    folder, said = followed
    assert "5 image(s), 3 of them used" in said[0]
    images = sorted(path.name for path in (folder / "READY/images").iterdir())
    assert images == [f"Fall 1 Ä_000{channel}.nii.gz" for channel in (1, 2, 3)]
    assert (folder / "READY/qc/Fall 1 Ä.png").is_file()
    with (folder / "READY/intake.csv").open(newline="", encoding="utf-8") as stream:
        became = {row["modality"]: row["became"] for row in csv.DictReader(stream) if row["modality"]}
    assert became == {"T1c": "reference", "T2": "same grid", "FLAIR": "registered"}


def test_the_frames_sit_on_the_label_map(followed):
    """Read with pydicom alone; Dice of every region with the label map beside it."""
    folder, _ = followed
    label_map = sitk.ReadImage(str(folder / "BACK/Fall 1 Ä/segmentation_on_T1c.nii.gz"))
    data = pydicom.dcmread(folder / "BACK/Fall 1 Ä/segmentation_on_T1c.dcm")
    assert data.PatientID == "Müller 1"
    shared = data.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    rows, columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found = {int(one.SegmentNumber): np.zeros(label_map.GetSize()[::-1], bool) for one in data.SegmentSequence}
    for frame, groups in zip(data.pixel_array, data.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        mask = found[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        for y, x in np.argwhere(frame):
            point = first + cosines[:3] * x * columns + cosines[3:] * y * rows
            mask[label_map.TransformPhysicalPointToIndex([float(value) for value in point])[::-1]] = True
    labels = sitk.GetArrayFromImage(label_map)
    for number, values in enumerate(([1, 2, 3], [2, 3], [3]), 1):
        expected = np.isin(labels, values)
        assert 2 * np.count_nonzero(found[number] & expected) >= 0.99 * (
            np.count_nonzero(found[number]) + np.count_nonzero(expected)
        )
    assert labels.any()
