"""Each release's raw layout is found by its names and converted voxel by voxel."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.brats import find_brats2018_cases
from nnunet_hetero.dataset_conversion.brats_releases import release_of
from nnunet_hetero.dataset_conversion.phantom import make_phantom
from nnunet_hetero.errors import DataError

# release → [(case folder below the raw folder, ending, name of the segmentation where it is not CASE_seg)]
LAYOUTS = {
    "2018": [
        ("HGG/Brats18_CBICA_AQN_1", ".nii.gz", ""),
        ("HGG/Brats18_2013_20_1", ".nii.gz", ""),
        ("LGG/Brats18_TCIA10_628_1", ".nii.gz", ""),
    ],
    "2019": [
        ("MICCAI_BraTS_2019_Data_Training/HGG/BraTS19_CBICA_AAB_1", ".nii.gz", ""),
        ("MICCAI_BraTS_2019_Data_Training/LGG/BraTS19_2013_0_1", ".nii", ""),
    ],
    "2020": [
        ("MICCAI_BraTS2020_TrainingData/BraTS20_Training_001", ".nii.gz", ""),
        ("MICCAI_BraTS2020_TrainingData/BraTS20_Training_355", ".nii", "W39_1998.09.19_Segm.nii"),
    ],
    "2021": [
        ("BraTS2021_Training_Data/BraTS2021_00000", ".nii.gz", ""),
        ("BraTS2021_Training_Data/BraTS2021_00002", ".nii.gz", ""),
    ],
}


def _write_layout(raw: Path, year: str, write_case) -> None:
    for index, (folder, ending, seg) in enumerate(LAYOUTS[year], start=1):
        write_case(raw / folder, index, ending, seg=seg)


class TestEachRelease:
    @pytest.mark.parametrize("year", LAYOUTS)
    def test_voxels_grid_and_labels_arrive(self, year, tmp_path, write_case, nnunet_raw, capsys):
        _write_layout(tmp_path / "raw", year, write_case)
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        names = [Path(folder).name for folder, _, _ in LAYOUTS[year]]
        assert sorted(p.name for p in (dataset / "labelsTr").iterdir()) == sorted(f"{name}.nii.gz" for name in names)
        assert len(list((dataset / "imagesTr").iterdir())) == 4 * len(names)
        for index, name in enumerate(names, start=1):
            source = make_phantom(index, size=24, seed=5)
            for channel, modality in enumerate(("t1", "t1ce", "t2", "flair")):
                image = nibabel.load(dataset / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
                np.testing.assert_array_equal(np.asanyarray(image.dataobj), source[modality])
                assert image.get_data_dtype() == np.int16
                np.testing.assert_array_equal(image.affine, source["affine"])
            label = nibabel.load(dataset / "labelsTr" / f"{name}.nii.gz")
            assert label.get_data_dtype() == np.uint8
            np.testing.assert_array_equal(label.affine, source["affine"])
            expected = np.select([source["seg"] == raw for raw in (1, 2, 4)], (1, 2, 3), default=0)
            np.testing.assert_array_equal(np.asanyarray(label.dataobj), expected)

    @pytest.mark.parametrize("year", LAYOUTS)
    def test_year_and_grades_are_detected(self, year, tmp_path, write_case):
        _write_layout(tmp_path / "raw", year, write_case)
        cohort = find_brats2018_cases(tmp_path / "raw")
        assert cohort.title == f"BraTS {year}"
        expected = {Path(f).name: grade for f, _, _ in LAYOUTS[year] for grade in ("HGG", "LGG") if f"{grade}/" in f}
        assert {case.name: case.grade for case in cohort.cases if case.grade} == expected
        assert all(case.problem is None and case.label and None not in case.images for case in cohort.cases)

    def test_all_files_in_one_folder(self, tmp_path, write_case):
        for index, name in enumerate(("BraTS20_Training_001", "BraTS20_Training_002"), start=1):
            for file in write_case(tmp_path / "cases" / name, index).iterdir():
                (tmp_path / "raw").mkdir(exist_ok=True)
                file.rename(tmp_path / "raw" / file.name)
        cohort = find_brats2018_cases(tmp_path / "raw")
        assert [case.name for case in cohort.cases] == ["BraTS20_Training_001", "BraTS20_Training_002"]
        assert cohort.cases[1].images[3] == tmp_path / "raw" / "BraTS20_Training_002_flair.nii.gz"

    def test_names_of_folders_above_the_cases_do_not_count(self, tmp_path, write_case):
        write_case(tmp_path / "brats_2013_pat" / "BraTS20_Training_001")
        (tmp_path / "brats_2013_pat" / "HGG_0001").mkdir()
        assert find_brats2018_cases(tmp_path).title == "BraTS 2020"

    @pytest.mark.parametrize(
        ("name", "year"),
        [
            ("Brats18_2013_2_1", "2018"),
            ("BraTS19_TCIA01_131_1", "2019"),
            ("BraTS20_Validation_001", "2020"),
            ("BraTS20_Phantom_001", "2020"),
            ("BraTS2021_01666", "2021"),
            ("BraTS2021_Training_Data", None),
            ("BraTS-GLI-00000-000", "2023 glioma"),
            ("BraTS-GLI-00005-100", "2024 post-treatment glioma"),
            ("BraTS-MEN-00004-000", "meningioma"),
            ("BraTS-MEN-RT-0002-1", "2024 meningioma radiotherapy"),
            ("HGG_brats_tcia_pat105_0001", "2015"),
            ("HGG_0001", "2012-2013"),
            ("SimHGG_0001", "2012-2013 synthetic"),
            ("MICCAI_BraTS2020_TrainingData", None),
        ],
    )
    def test_case_names(self, name, year):
        release = release_of(name)
        assert (release and release.title) == (year and f"BraTS {year}")

    def test_litter_of_archives_is_passed_over(self, tmp_path, write_case):
        case = write_case(tmp_path / "raw" / "BraTS20_Training_001")
        (case / "._BraTS20_Training_001_t1.nii.gz").write_bytes(b"macOS")
        (tmp_path / "raw" / "__MACOSX" / "BraTS20_Training_001").mkdir(parents=True)
        (tmp_path / "raw" / "name_mapping.csv").write_text("Grade,BraTS_2020_subject_ID\n")
        (case / "loop").symlink_to(tmp_path / "raw", target_is_directory=True)
        cohort = find_brats2018_cases(tmp_path / "raw")
        assert [(case.name, case.problem) for case in cohort.cases] == [("BraTS20_Training_001", None)]


class TestRefusedFolders:
    def test_no_case_says_what_is_expected(self, tmp_path, nnunet_raw, capsys):
        (tmp_path / "raw" / "scans").mkdir(parents=True)
        (tmp_path / "raw" / "scans" / "patient1_t1.nii.gz").write_bytes(b"")
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501"]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and str(tmp_path / "raw") in error
        assert "BraTS20_Training_001/BraTS20_Training_001_flair.nii" in error
        assert list(nnunet_raw.iterdir()) == []

    def test_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match=r"nowhere does not exist"):
            find_brats2018_cases(tmp_path / "nowhere")

    def test_mixed_releases(self, tmp_path, write_case):
        write_case(tmp_path / "raw" / "BraTS20_Training_001")
        write_case(tmp_path / "raw" / "BraTS2021_00000")
        write_case(tmp_path / "raw" / "BraTS2021_00002")
        with pytest.raises(DataError, match=r"1 of BraTS 2020, 2 of BraTS 2021 cases"):
            find_brats2018_cases(tmp_path / "raw")


class TestDryRun:
    def test_lists_what_is_there_and_writes_nothing(self, tmp_path, write_case, nnunet_raw, capsys):
        write_case(tmp_path / "raw/HGG/Brats18_A_1")
        write_case(tmp_path / "raw/HGG/Brats18_B_1", without=("t2", "flair"))
        write_case(tmp_path / "raw/LGG/Brats18_C_1", without=("seg",))
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "7", "--name", "Mine", "--dry-run"]) == 1
        output, error = capsys.readouterr()
        assert "BraTS 2018, 3 cases" in output and "grades: 2 HGG" in output
        assert "Brats18_B_1: T2, FLAIR" in output
        assert "Brats18_C_1: it has no segmentation" in error  # so the exit code is that of the conversion
        assert "Brats18_A_1" not in output + error
        assert str(nnunet_raw / "Dataset007_Mine") in output
        assert list(nnunet_raw.iterdir()) == []

    def test_needs_no_nnunet_raw(self, tmp_path, write_case, monkeypatch, capsys):
        monkeypatch.delenv("nnUNet_raw", raising=False)
        write_case(tmp_path / "raw/BraTS20_Training_001")
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "7", "--dry-run"]) == 0
        assert "BraTS 2020, 1 case\n" in capsys.readouterr().out


class TestAbsentModalities:
    def test_a_gap_becomes_zeros_and_is_recorded(self, tmp_path, write_case, nnunet_raw, capsys):
        write_case(tmp_path / "raw/BraTS20_Training_001", 1)
        case = write_case(tmp_path / "raw/BraTS20_Training_002", 2, without=("t1", "t2"))
        empty = nibabel.load(case / f"{case.name}_flair.nii.gz")  # a file, but without signal
        nibabel.save(nibabel.Nifti1Image(np.zeros(empty.shape, np.int16), empty.affine), empty.get_filename())
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        source = make_phantom(2, size=24, seed=5)
        for channel, zero in enumerate((True, False, True, True)):
            image = nibabel.load(dataset / "imagesTr" / f"BraTS20_Training_002_{channel:04d}.nii.gz")
            assert image.shape == (24, 24, 24)
            np.testing.assert_array_equal(image.affine, source["affine"])
            assert (not np.any(image.dataobj)) == zero
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["missing_modalities"] == {"BraTS20_Training_002": ["T1", "T2", "FLAIR"]}
        assert "BraTS20_Training_002: T1, T2, FLAIR" in capsys.readouterr().out

    def test_unlabelled_cases_go_to_the_test_set_when_asked(self, tmp_path, write_case, nnunet_raw):
        write_case(tmp_path / "raw/BraTS20_Training_001", 1)
        write_case(tmp_path / "raw/BraTS20_Training_002", 2, without=("seg", "t1ce"))
        arguments = ["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1", "--unlabelled-to-imagesTs"]
        assert brats.main(arguments) == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert {p.name[:20] for p in (dataset / "imagesTr").iterdir()} == {"BraTS20_Training_001"}
        assert sorted(p.name for p in (dataset / "imagesTs").iterdir()) == [
            f"BraTS20_Training_002_{channel:04d}.nii.gz" for channel in range(4)
        ]
        assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 1

        write_case(tmp_path / "raw/BraTS20_Training_002", 2)  # the label arrives, and the case changes sides
        assert brats.main(arguments) == 0
        assert list((dataset / "imagesTs").iterdir()) == []
        assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 2
