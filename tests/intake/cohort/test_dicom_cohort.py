"""A cohort of DICOM studies, most of which have a fault: each is named, none stops the others."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers.cohorts.dicom_study import TAGS, Patient, edit, oblique_affine, write_series
from helpers.cohorts.moved_case import target
from helpers.phantoms import phantom
from pydicom.uid import generate_uid

from nnunet_hetero.intake.cohort.run import take_in
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.options import IntakeOptions

AFFINE = oblique_affine(24)
SLICES = slice(8, 16)


def series(folder: Path, name: str = "t2", owner: Patient | None = None, **more) -> None:
    write_series(folder / name, phantom(1)[name][:, :, SLICES], AFFINE, TAGS[name], owner or Patient(), **more)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "t2").iterdir())


def by_position(folder: Path) -> list[Path]:
    return sorted(files(folder), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[2]))


def gap(folder: Path) -> None:
    by_position(folder)[3].unlink()


def doubled(folder: Path) -> None:
    shutil.copy(files(folder)[2], folder / "t2/copy.dcm")


def echoes(folder: Path) -> None:
    for number, file in enumerate(files(folder)):
        copy = Path(shutil.copy(file, folder / f"t2/echo{number}.dcm"))
        edit(copy, SOPInstanceUID=generate_uid(), EchoTime=120.0)


def tilted(folder: Path) -> None:
    for place, file in enumerate(by_position(folder)):
        position = np.array(pydicom.dcmread(file).ImagePositionPatient, float) + AFFINE[:3, 1] * 0.3 * place
        edit(file, ImagePositionPatient=[float(value) for value in position.round(4)])


def cut_short(folder: Path) -> None:
    file = files(folder)[4]
    file.write_bytes(file.read_bytes()[:-300])


def unreadable(folder: Path) -> None:
    file = files(folder)[4]
    file.write_bytes(file.read_bytes()[:160])


def two_patients(folder: Path) -> None:
    series(folder, "flair", Patient(patient="Somebody else"))


def two_days(folder: Path) -> None:
    series(folder, "flair", change=lambda place, header: setattr(header, "StudyDate", "20260301"))


def between(folder: Path) -> None:
    for place, file in enumerate(by_position(folder)):
        if place % 2:
            edit(file, EchoTime=120.0)


def inverted(folder: Path) -> None:
    for file in files(folder):
        edit(file, PhotometricInterpretation="MONOCHROME1")


def a_link_to_nothing(folder: Path) -> None:
    (folder / "flair.nii.gz").symlink_to(folder / "gone.nii.gz")


def two_discs(folder: Path) -> None:
    slices = by_position(folder)
    for number, part in enumerate((slices[:6], slices[6:])):
        with zipfile.ZipFile(folder / f"disc {number}.zip", "w") as archive:
            for file in part:
                archive.write(file, file.name)
                file.unlink()


def a_slice_that_is_gone(folder: Path) -> None:
    for name in ("t1", "t1ce", "flair"):  # so that it can be no other modality
        series(folder, name, Patient(study=pydicom.dcmread(files(folder)[0]).StudyInstanceUID))
    (folder / "t2/IM0099.dcm").symlink_to(folder / "gone.dcm")


def two_candidates(folder: Path) -> None:
    series(folder / "again")


def zip_slip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("../../t1.nii.gz", b"x")


def only_a_report(folder: Path) -> None:
    for file in files(folder):
        edit(file, Modality="SR")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "gap": (gap, "slices are missing: between"),
    "doubled": (doubled, "the same slice is there twice"),
    "echoes": (echoes, "several volumes (4D)"),
    "tilted": (tilted, "tilted gantry"),
    "cut short": (cut_short, "IM0005.dcm"),
    "unreadable": (unreadable, "IM0005.dcm"),
    "two patients": (two_patients, "of different patients"),
    "two days": (two_days, "images of different sessions"),
    "two images between each other": (between, "its slices are of different images"),
    "inverted": (inverted, "to be shown inverted"),
    "a link to nothing": (a_link_to_nothing, "is a link to "),
    "two discs": (two_discs, "files of this series lie in"),
    "a slice that is gone": (a_slice_that_is_gone, "IM0099.dcm cannot be read"),
    "two candidates": (two_candidates, "could be it"),
    "zip slip": (zip_slip, "would be unpacked outside of the folder"),
    "only a report": (only_a_report, "has no image that is one of the modalities"),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What became of a cohort with all faults, a case each, and of a good case with blanks and umlauts in its name."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, (spoil, _) in FAULTS.items():
        series(folder / "in" / name)
        spoil(folder / "in" / name)
    series(folder / "in/gut #1, früh")
    wanted = target()
    rows = find_series(folder / "in", wanted.modalities)
    result = take_in(rows, folder / "in", folder / "out", wanted, IntakeOptions(), 0)
    return folder, result


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(done, name):
    reason = done[1].failed[name]
    assert reason.startswith(f"Case '{name}'") and FAULTS[name][1] in reason
    assert json.loads((done[0] / "out/failed.json").read_text("utf-8"))[name]


def test_the_good_one_goes_on(done):
    folder, result = done
    assert result.done == ["gut #1, früh"]
    assert [file.name for file in (folder / "out/images").iterdir()] == ["gut #1, früh_0002.nii.gz"]


def test_a_patient_with_two_numbers_may_be_meant(done, tmp_path):
    shutil.copytree(done[0] / "in/two patients", tmp_path / "in/two patients")
    wanted = target()
    rows = find_series(tmp_path / "in", wanted.modalities)
    result = take_in(rows, tmp_path / "in", tmp_path / "out", wanted, IntakeOptions(several_patients=True), 0)
    assert result.done == ["two patients"] and not result.failed


def test_a_slice_that_is_written_over_is_seen(tmp_path):
    series(tmp_path / "in/a")
    rows, wanted = find_series(tmp_path / "in", target().modalities), target()
    first = take_in(rows, tmp_path / "in", tmp_path / "out", wanted, IntakeOptions(), 0)
    assert take_in(rows, tmp_path / "in", tmp_path / "out", wanted, IntakeOptions(), 0).kept == first.done == ["a"]
    file = files(tmp_path / "in/a")[2]
    file.write_bytes(file.read_bytes())  # the folder's time stays
    assert take_in(rows, tmp_path / "in", tmp_path / "out", wanted, IntakeOptions(), 0).kept == []
