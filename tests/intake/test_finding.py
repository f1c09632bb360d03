"""The proposal for whole folders."""

from __future__ import annotations

import os
import shutil
import zipfile

import numpy as np
import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(folder, modalities=BRATS):
    return {row.source: row for row in find_series(folder, modalities)}


def test_a_folder_per_case(tmp_path):
    touch(
        tmp_path, "p 1/T1.nii.gz", "p 1/sub/t1ce.nrrd", "p 1/notes.txt", "Köhler/flair.mha", "Köhler/seg.mha", "x.csv"
    )
    rows = find_series(tmp_path, BRATS)
    assert [(row.case, row.source, row.modality) for row in rows] == [
        ("Köhler", "Köhler/flair.mha", "FLAIR"),
        ("Köhler", "Köhler/seg.mha", ""),
        ("p 1", "p 1/T1.nii.gz", "T1"),
        ("p 1", "p 1/sub/t1ce.nrrd", "T1c"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_without_the_image_that_it_is_named_like(tmp_path, packed):
    """A series that was not exported, or not unpacked, as a whole; not a case without it."""
    touch(tmp_path, "in/a/t1.nii.gz", "in/a/flair/x/scan.nii.gz", "in/a/T1c/notes.txt", "in/a/reports/doctor.txt")
    for empty in ("t2.nii.gz", "T2_seg", "results", "flair/empty"):
        (tmp_path / "in/a" / empty).mkdir()
    if packed:
        shutil.make_archive(str(tmp_path / "in/a"), "zip", tmp_path / "in/a")
        shutil.rmtree(tmp_path / "in/a")
    rows = {source.replace("#", "/").replace(".zip", ""): row for source, row in found(tmp_path / "in").items()}
    assert {source: row.modality or row.may_be for source, row in rows.items()} == {
        "a/t1.nii.gz": "T1",
        "a/flair/x/scan.nii.gz": "FLAIR",
        "a/T1c": ("T1c",),
        "a/t2.nii.gz": ("T2",),
    }
    assert "holds no image" in rows["a/T1c"].why and "holds no image" in rows["a/t2.nii.gz"].why


def test_nothing_that_could_be_an_image_is_left_out(tmp_path):
    touch(
        tmp_path,
        *("a/T1.mgz", "a/T2.nii.gz.part", "a/.flair.nii.gz.icloud", "a/scan.nii.gz", "a/inner.zip", "a/ADC.mgz"),
        *("a/x.png", "a/T1.json"),
    )
    rows = found(tmp_path)
    assert {source: row.may_be for source, row in rows.items()} == {
        "a/T1.mgz": ("T1",),
        "a/T2.nii.gz.part": ("T2",),
        "a/.flair.nii.gz.icloud": ("FLAIR",),
        "a/scan.nii.gz": BRATS.names,
        "a/inner.zip": BRATS.names,
        "a/ADC.mgz": (),
    }
    assert not any(row.modality for row in rows.values())
    assert "'.mgz' are not read" in rows["a/T1.mgz"].why and "is no zip" in rows["a/inner.zip"].why


@pytest.mark.parametrize("ending", ["7z", "rar", "tar.gz", "tgz", "gz", "iso", "zip.001"])
def test_what_is_packed_otherwise_may_be_anything(tmp_path, ending):
    """In a case, in a zip of a case, and as a case."""
    touch(tmp_path, f"a/more/study.{ending}", "a/T1.nii.gz", f"Fall 2.{ending}", "a/report.pdf.gz", "a/notes.xyz")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(f"x/y.{ending}", b"1")
    rows = found(tmp_path)
    packed = [f"a/more/study.{ending}", f"Fall 2.{ending}", f"c.zip#x/y.{ending}"]
    assert rows.keys() == {*packed, "a/T1.nii.gz"}
    for source in packed:
        assert rows[source].may_be == BRATS.names and f"'.{ending}' are not opened" in rows[source].why
    assert rows[f"Fall 2.{ending}"].case == "Fall 2"


def test_a_format_that_nobody_knows_is_told_if_it_is_named_like_a_modality(tmp_path):
    names = ("a/t2.PAR", "a/flair", "a/T1.txt", "a/t2/Thumbs.db", "a/README", "a/T1c.png", "a/ADC.REC")
    touch(tmp_path, *names, "a/T1.nii.gz")
    rows = found(tmp_path)
    assert {source: row.may_be for source, row in rows.items() if row.may_be} == {
        "a/t2": ("T2",),
        "a/t2.PAR": ("T2",),
        "a/flair": ("FLAIR",),
    }
    assert "without an ending that is no DICOM" in rows["a/flair"].why


def test_a_pipe_is_not_waited_for(tmp_path):
    touch(tmp_path, "a/T1.nii.gz")
    os.mkfifo(tmp_path / "a/pipe")
    assert "is no regular file" in found(tmp_path)["a/pipe"].why


def test_two_files_for_one_modality(tmp_path):
    touch(tmp_path, "a/t1.nii.gz", "a/b/t1n.nii.gz")
    assert [row.may_be for row in find_series(tmp_path, BRATS)] == [("T1",), ("T1",)]


def test_zips(tmp_path):
    with zipfile.ZipFile(tmp_path / "Fall 2.zip", "w") as archive:
        archive.writestr("x/T1.nii.gz", b"1")
        archive.writestr("y.zip", b"1")
    (tmp_path / "Fall 1").mkdir()
    shutil.copy(tmp_path / "Fall 2.zip", tmp_path / "Fall 1/a.zip")
    rows = found(tmp_path)
    assert {source: (row.case, row.modality) for source, row in rows.items()} == {
        "Fall 1/a.zip#x/T1.nii.gz": ("Fall 1", "T1"),
        "Fall 1/a.zip#y.zip": ("Fall 1", ""),
        "Fall 2.zip#x/T1.nii.gz": ("Fall 2", "T1"),
        "Fall 2.zip#y.zip": ("Fall 2", ""),
    }


def test_a_zip_that_is_refused_does_not_stop_the_others(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../T1.nii.gz", b"1")
    touch(tmp_path, "b/T1.nii.gz")
    rows = found(tmp_path)
    assert rows["a.zip"].may_be == BRATS.names and "unpacked outside" in rows["a.zip"].why
    assert rows["b/T1.nii.gz"].modality == "T1"


def test_a_study(study):
    rows = find_series(study, BRATS)
    by_folder = {row.place.rpartition("/")[2]: row for row in rows}
    expected = {"S1": "", "S2": "T1c", "S3": "T2", "S4": "FLAIR", "S9": ""}
    assert {name: row.modality for name, row in by_folder.items()} == expected
    assert {row.confidence for row in rows} == {"sure"}
    assert "localizer" in by_folder["S1"].why and "derived map" in by_folder["S9"].why


@pytest.mark.parametrize("layout", ["flat", "no ending", "zip"])
def test_a_study_is_found_however_it_lies(study, tmp_path, layout):
    (tmp_path / "in").mkdir()
    files = sorted(study.rglob("*.dcm"))
    for number, file in enumerate(np.random.default_rng(0).permutation(np.array(files, object))):
        name = {"flat": f"{number}.dcm", "no ending": f"{number // 50}/{number}", "zip": f"{number}.dcm"}[layout]
        touch(tmp_path / "in/Fall 1", name)
        shutil.copy(file, tmp_path / "in/Fall 1" / name)
    if layout == "zip":
        shutil.make_archive(str(tmp_path / "in/Fall 1"), "zip", tmp_path / "in/Fall 1")
        shutil.rmtree(tmp_path / "in/Fall 1")
    rows = find_series(tmp_path / "in", BRATS)
    assert sorted(row.modality for row in rows) == ["", "", "FLAIR", "T1c", "T2"]
    assert {row.place for row in rows} == {"Fall 1.zip" if layout == "zip" else "Fall 1"}


def test_an_unreadable_slice_is_listed(study, tmp_path):
    file = tmp_path / "a/IM1"
    file.parent.mkdir()
    file.write_bytes(next(study.rglob("S2/*.dcm")).read_bytes()[:200])
    row = found(tmp_path)[file.relative_to(tmp_path).as_posix()]
    assert row.may_be == BRATS.names and "cannot be read as DICOM" in row.why


def test_a_folder_without_cases(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        find_series(tmp_path / "no", BRATS)
    with pytest.raises(DataError, match="holds no image"):
        find_series(tmp_path, BRATS)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        find_series(tmp_path, BRATS)
    touch(tmp_path, "t1.nii.gz")
    with pytest.raises(DataError, match=r"1 image\(s\) beside the folders of its cases, e\.g\. t1\.nii\.gz"):
        find_series(tmp_path, BRATS)


def test_a_case_without_images_is_not_passed_over(tmp_path):
    touch(tmp_path, "b/t1.nii.gz", "a/notes.txt")
    (tmp_path / "c").mkdir()
    rows = find_series(tmp_path, BRATS)
    assert [(row.case, row.source, row.modality) for row in rows] == [
        ("a", "a", ""),
        ("b", "b/t1.nii.gz", "T1"),
        ("c", "c", ""),
    ]
    assert "it holds no image: no DICOM series, and no file that ends in .nii, " in rows[0].why and not rows[0].may_be
