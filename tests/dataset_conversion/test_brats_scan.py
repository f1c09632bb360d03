"""Raw BraTS folders as people have them: unpacked once more than meant, with folders in the cases, misspelt."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_hetero.dataset_conversion import brasyn, brats, brats2015, brats2023
from nnunet_hetero.dataset_conversion.brats_scan import meant_modality, scan

CASE, OTHER = "BraTS2021_00001", "BraTS2021_00002"
MODALITIES = ("t1", "t1ce", "t2", "flair", "seg")


@pytest.fixture
def raw(tmp_path, write_case, nnunet_raw) -> Path:
    for index, name in enumerate((CASE, OTHER), start=1):
        write_case(tmp_path / "raw" / name, index)
    return tmp_path / "raw"


@pytest.fixture
def dataset(nnunet_raw) -> Path:
    return nnunet_raw / "Dataset501_BraTS"


def convert(raw: Path, *options: str) -> int:
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1", *options])


def as_on_kaggle(case: Path, ending: str = ".nii", inner: str = "00000001_final_{what}.nii") -> None:
    """``CASE_flair.nii/any_name.nii``, as where gzip's own name of the file was restored."""
    for what in MODALITIES:
        file = case / f"{case.name}_{what}.nii.gz"
        image = nibabel.load(file)
        data = np.asanyarray(image.dataobj)
        file.unlink()
        folder = case / f"{case.name}_{what}{ending}"
        folder.mkdir()
        nibabel.save(nibabel.Nifti1Image(data, image.affine), folder / inner.format(what=what))


class TestFolderPerImage:
    @pytest.mark.parametrize("ending", [".nii", ".nii.gz", ""])
    @pytest.mark.parametrize("inner", ["00000001_final_{what}.nii", "image.nii.gz", CASE + "_{what}.nii"])
    def test_is_read(self, ending, inner, raw, dataset):
        assert convert(raw) == 0
        expected = [nibabel.load(dataset / f"imagesTr/{CASE}_{channel:04d}.nii.gz").get_fdata() for channel in range(4)]
        shutil.rmtree(dataset)
        as_on_kaggle(raw / CASE, ending, inner)
        assert convert(raw) == 0
        for channel in range(4):
            found = nibabel.load(dataset / f"imagesTr/{CASE}_{channel:04d}.nii.gz").get_fdata()
            np.testing.assert_array_equal(found, expected[channel])

    def test_nothing_but_such_folders(self, raw, dataset):
        as_on_kaggle(raw / CASE)
        shutil.rmtree(raw / OTHER)
        assert convert(raw) == 0
        assert len(list((dataset / "imagesTr").iterdir())) == 4

    def test_two_images_in_one(self, raw, capsys):
        as_on_kaggle(raw / CASE)
        shutil.copy(raw / CASE / f"{CASE}_t2.nii/00000001_final_t2.nii", raw / CASE / f"{CASE}_t2.nii/more.nii")
        assert convert(raw) == 1
        assert f"{CASE}: 2 files claim to be its T2" in capsys.readouterr().err

    def test_an_empty_one(self, raw, capsys):
        as_on_kaggle(raw / CASE)
        (raw / CASE / f"{CASE}_t2.nii/00000001_final_t2.nii").unlink()
        assert convert(raw) == 1
        assert f"{CASE}_t2.nii has the name of an image and holds none" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["00000001_final_t1.nii", f"{CASE}_t1.nii"])
    def test_a_file_of_another_modality_in_it(self, name, raw, capsys):
        as_on_kaggle(raw / CASE)
        folder = raw / CASE / f"{CASE}_t2.nii"
        (folder / "00000001_final_t2.nii").rename(folder / name)
        assert convert(raw) == 1
        assert f"it lacks T2, but has files of unknown meaning: {folder / name}" in capsys.readouterr().err

    def test_a_file_of_another_case_in_it(self, raw, capsys):
        as_on_kaggle(raw / CASE)
        folder = raw / CASE / f"{CASE}_t2.nii"
        (folder / "00000001_final_t2.nii").rename(folder / f"{OTHER}_t2.nii")
        assert convert(raw) == 1
        assert capsys.readouterr().err.count("folder and file name different cases") == 2


class TestFoldersInACase:
    @pytest.mark.parametrize("content", ["IM0001", "slice.dcm", "more.nii.gz", "notes.txt"])
    def test_without_a_gap_they_are_passed_over(self, content, raw, dataset):
        (raw / CASE / "dicom").mkdir()
        (raw / CASE / "dicom" / content).write_bytes(b"1")
        assert convert(raw) == 0
        assert len(list((dataset / "imagesTr").iterdir())) == 8

    @pytest.mark.parametrize("content", ["IM0001", "slice.dcm", f"{CASE}_t1c.nii.gz", f"{CASE}_t1ce.nii.gz.part"])
    @pytest.mark.parametrize("place", [".", "dicom", "more/deep"])
    def test_beside_a_gap_they_may_be_it(self, content, place, raw, dataset, capsys):
        (raw / CASE / f"{CASE}_t1ce.nii.gz").unlink()
        (raw / CASE / place).mkdir(parents=True, exist_ok=True)
        (raw / CASE / place / content).write_bytes(b"1")
        assert convert(raw) == 1
        error = capsys.readouterr().err
        assert f"{CASE}: it lacks T1c, but has files of unknown meaning: {raw / CASE / place / content}" in error
        assert not list(dataset.glob(f"imagesTr/{CASE}*"))

    def test_sidecars_are_no_modality(self, raw, dataset):
        (raw / CASE / f"{CASE}_t1ce.nii.gz").unlink()
        for name in ("notes.txt", "scan.JSON", "preview.png"):
            (raw / CASE / name).write_bytes(b"1")
        assert convert(raw) == 0

    def test_images_in_a_folder_below_the_case(self, raw, dataset):
        (raw / CASE / "anat").mkdir()
        for what in MODALITIES:
            (raw / CASE / f"{CASE}_{what}.nii.gz").rename(raw / CASE / "anat" / f"{CASE}_{what}.nii.gz")
        assert convert(raw) == 0
        assert len(list((dataset / "imagesTr").iterdir())) == 8

    def test_a_case_unpacked_into_its_own_folder(self, raw, dataset):
        (raw / CASE).rename(raw / "inner")
        (raw / CASE).mkdir()
        (raw / "inner").rename(raw / CASE / CASE)
        assert convert(raw) == 0
        assert len(list((dataset / "imagesTr").iterdir())) == 8

    def test_a_collection_with_the_name_of_a_case(self, raw, tmp_path, dataset):
        raw.rename(tmp_path / "BraTS2021_2021")
        assert convert(tmp_path / "BraTS2021_2021") == 0
        assert len(list((dataset / "imagesTr").iterdir())) == 8


class TestMisspelt:
    def test_a_file_beside_the_case_folder(self, raw, capsys):
        stray = (raw / CASE / f"{CASE}_t1ce.nii.gz").rename(raw / f"{CASE}_t1c.nii.gz")
        assert convert(raw) == 1
        assert f"{CASE}: it lacks T1c, but has files of unknown meaning: {stray}" in capsys.readouterr().err

    def test_a_file_among_all_others(self, raw, tmp_path, capsys):
        (tmp_path / "flat").mkdir()
        for file in raw.rglob("*.nii.gz"):
            file.rename(tmp_path / "flat" / file.name)
        stray = (tmp_path / "flat" / f"{CASE}_flair.nii.gz").rename(tmp_path / "flat" / f"{CASE}_fliar.nii.gz")
        assert convert(tmp_path / "flat") == 1
        assert f"{CASE}: it lacks FLAIR, but has files of unknown meaning: {stray}" in capsys.readouterr().err

    def test_a_whole_case(self, raw, capsys):
        (raw / "BarTS2021_00003").mkdir()
        shutil.copy(raw / CASE / f"{CASE}_t1.nii.gz", raw / "BarTS2021_00003" / "BarTS2021_00003_t1.nii.gz")
        assert convert(raw) == 1
        assert "BarTS2021_00003_t1.nii.gz: this is no name of a BraTS case" in capsys.readouterr().err

    def test_an_image_that_is_no_modality_is_told(self, raw, capsys):
        shutil.copy(raw / CASE / f"{CASE}_t1.nii.gz", raw / "atlas.nii.gz")
        assert convert(raw) == 0
        assert f"ignored 1 image that is no modality of a case: {raw / 'atlas.nii.gz'}" in capsys.readouterr().out


class TestOtherReleases:
    @pytest.mark.parametrize("converter", [brats2023, brasyn])
    def test_since_2023(self, converter, tmp_path, write_case_since_2023, nnunet_raw, capsys):
        cases = [write_case_since_2023(tmp_path / f"raw/BraTS-GLI-0000{index}-000", index) for index in (1, 2)]
        (cases[0] / f"{cases[0].name}-t1c.nii.gz").unlink()
        (cases[0] / "dicom").mkdir()
        (cases[0] / "dicom" / "IM1").write_bytes(b"1")
        assert converter.main(["-i", str(tmp_path / "raw"), "-d", "503", "-np", "1"]) == 1
        assert (
            f"it lacks T1c, but has files of unknown meaning: {cases[0] / 'dicom' / 'IM1'}" in capsys.readouterr().err
        )

    @pytest.mark.parametrize("name", ["VDS.Brain.XX.O.MR_T1c.1.mha", "dicom/IM0001", "t1c.nrrd"])
    def test_virtual_skeleton_database(self, name, tmp_path, write_vsd_case, nnunet_raw, capsys):
        folder = write_vsd_case(tmp_path / "raw/HGG/brats_tcia_pat001_0001", 1, without=("T1c",))
        write_vsd_case(tmp_path / "raw/HGG/brats_tcia_pat002_0001", 2)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"1")
        assert brats2015.main(["-i", str(tmp_path / "raw"), "-d", "502", "-np", "1"]) == 1
        assert f"it lacks T1c, but has files of unknown meaning: {folder / name}" in capsys.readouterr().err

    def test_an_empty_folder_of_the_virtual_skeleton_database(self, tmp_path, write_vsd_case, nnunet_raw, capsys):
        folder = write_vsd_case(tmp_path / "raw/HGG/brats_tcia_pat001_0001", 1, without=("T1c",))
        (folder / "VSD.Brain.XX.O.MR_T1c.54512").mkdir()
        assert brats2015.main(["-i", str(tmp_path / "raw"), "-d", "502", "-np", "1"]) == 1
        assert "has the name of an image and holds none" in capsys.readouterr().err


def test_what_a_name_means():
    names = {"x_flair": "FLAIR", "x-t2f": "FLAIR", "x_T1Gd": "T1c", "x_seg": "segmentation", "atlas": None, "x_1": None}
    assert {name: meant_modality(name) for name in names} == names


def test_scan_names_every_file_once(raw):
    content = scan(raw)
    assert content.names == {CASE, OTHER}
    assert sorted(file.path for file in content.files) == sorted(raw.rglob("*.nii.gz"))
