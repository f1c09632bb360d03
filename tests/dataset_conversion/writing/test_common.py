"""Conversion of whole cohorts, wherever they come from."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.cohorts.three_sites import SITES, SPEC, convert, write_three_sites

from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.common import convert_cohort
from nnunet_hetero.dataset_conversion.writing.images import read_image
from nnunet_hetero.errors import DataError


@pytest.fixture
def raw(tmp_path, write_case) -> Path:
    return write_three_sites(tmp_path / "raw", write_case)


class TestSummary:
    def test_sites_modalities_and_gaps(self, raw, nnunet_raw, capsys):
        assert convert(raw, "--unlabelled-to-imagesTs") == 0
        text = (nnunet_raw / "Dataset501_BraTS" / "conversion_summary.txt").read_text()
        assert text in capsys.readouterr().out
        table = [line.split() for line in text.splitlines()[:5]]
        assert table == [
            ["site", "training", "test", "patients", "complete", "T1", "T1c", "T2", "FLAIR"],
            ["2013", "0", "1", "1", "0", "1", "0", "1", "1"],
            ["CBICA", "1", "0", "1", "1", "1", "1", "1", "1"],
            ["TCIA", "2", "0", "2", "1", "2", "1", "2", "2"],
            ["all", "3", "1", "4", "2", "4", "2", "4", "4"],
        ]
        assert "grades: 2 HGG, 2 LGG" in text
        assert [line.split() for line in text.splitlines() if line.startswith("T1c ")] == [["T1c", "2"]]

    def test_dry_run_says_the_same_and_writes_nothing(self, raw, nnunet_raw, capsys):
        assert convert(raw, "--unlabelled-to-imagesTs", "--dry-run") == 0
        would = capsys.readouterr().out
        assert list(nnunet_raw.iterdir()) == []
        assert convert(raw, "--unlabelled-to-imagesTs") == 0
        lines = capsys.readouterr().out.splitlines()
        dry = [line for line in would.splitlines() if not line.startswith("Dry run")]
        assert dry == lines

    def test_dry_run_reads_the_voxels(self, raw, nnunet_raw, capsys):
        file = raw / SITES[0] / "Brats18_CBICA_AQN_1_t2.nii.gz"
        file.write_bytes(file.read_bytes()[:-20])
        assert convert(raw, "--unlabelled-to-imagesTs", "--dry-run") == 1
        assert f"{file} cannot be read" in capsys.readouterr().err

    def test_dry_run_touches_no_dataset_of_an_earlier_run(self, raw, nnunet_raw):
        assert convert(raw, "--unlabelled-to-imagesTs") == 0
        before = {path: path.read_bytes() for path in nnunet_raw.rglob("*") if path.is_file()}
        (raw / SITES[0] / "Brats18_CBICA_AQN_1_seg.nii.gz").unlink()
        assert convert(raw, "--dry-run") == 1
        assert {path: path.read_bytes() for path in nnunet_raw.rglob("*") if path.is_file()} == before


class TestRareModalities:
    def test_nowhere_is_refused_and_can_be_left_out(self, tmp_path, write_case, nnunet_raw, capsys):
        for index in (1, 2):
            write_case(tmp_path / f"raw/BraTS20_Training_00{index}", index, without=("t1",))
        assert convert(tmp_path / "raw") == 1
        assert "No case has T1." in capsys.readouterr().err
        assert list(nnunet_raw.iterdir()) == []
        assert convert(tmp_path / "raw", "--modalities", "flair", "T1c", "T2") == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["channel_names"] == {"0": "FLAIR", "1": "T1c", "2": "T2"}
        assert content["missing_modalities"] == {}
        source = nibabel.load(tmp_path / "raw/BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz")
        image = nibabel.load(dataset / "imagesTr" / "BraTS20_Training_001_0000.nii.gz")
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), np.asanyarray(source.dataobj))

    def test_nowhere_but_in_empty_files_is_refused_too(self, tmp_path, write_case, nnunet_raw, capsys):
        case = write_case(tmp_path / "raw/BraTS20_Training_001")
        file = case / "BraTS20_Training_001_t2.nii.gz"
        image = nibabel.load(file)
        nibabel.save(nibabel.Nifti1Image(np.zeros(image.shape, np.int16), image.affine), file)
        assert convert(tmp_path / "raw") == 1
        assert "No case has T2." in capsys.readouterr().err
        assert not (nnunet_raw / "Dataset501_BraTS" / "dataset.json").exists()

    def test_in_test_cases_only_warns(self, tmp_path, write_case, nnunet_raw, capsys):
        write_case(tmp_path / "raw/BraTS20_Training_001", 1, without=("t1",))
        write_case(tmp_path / "raw/BraTS20_Training_002", 2, without=("seg",))
        assert convert(tmp_path / "raw", "--unlabelled-to-imagesTs") == 0
        assert "warning: no training case has T1, only test cases have it" in capsys.readouterr().out

    def test_in_few_cases_warns(self, tmp_path, write_case, nnunet_raw, capsys):
        for index in range(1, 7):
            write_case(tmp_path / f"raw/BraTS20_Training_00{index}", index, without=("t1",) if index > 4 else ())
        assert convert(tmp_path / "raw") == 0
        output = capsys.readouterr().out
        assert "warning: only 4 of 6 training cases have T1" in output
        assert output.count("warning:") == 1

    @pytest.mark.parametrize(
        ("names", "message"),
        [(["T1", "T9"], "'T9' is none of T1, T1c, T2, FLAIR"), (["T1", "t1"], "a name stands twice")],
    )
    def test_bad_choice(self, names, message, tmp_path, write_case, nnunet_raw, capsys):
        write_case(tmp_path / "raw/BraTS20_Training_001")
        assert convert(tmp_path / "raw", "--modalities", *names) == 1
        assert message in capsys.readouterr().err


class TestCohortsOfAnyOrigin:
    @pytest.fixture
    def cases(self, tmp_path, write_case) -> list[RawCase]:
        found = []
        for index in (1, 2):
            folder = write_case(tmp_path / f"BraTS20_Training_00{index}", index)
            images = tuple(folder / f"{folder.name}_{what}.nii.gz" for what in ("t1", "t2"))
            found.append(RawCase(f"case{index}", images, folder / f"{folder.name}_seg.nii.gz"))
        return found

    def test_one_label_file_for_two_cases(self, cases, tmp_path):
        cases[1] = replace(cases[1], label=cases[0].label)
        summary = convert_cohort(tmp_path / "Dataset001_X", SPEC, cases, 1, progress=False)
        assert sorted(summary.failures) == ["case1", "case2"]
        assert "is claimed as the segmentation of case1 and the segmentation of case2" in summary.failures["case2"]
        assert summary.dataset_json is None

    def test_one_image_for_two_modalities(self, cases, tmp_path):
        cases[0] = replace(cases[0], images=(cases[0].images[0],) * 2)
        summary = convert_cohort(tmp_path / "Dataset001_X", SPEC, cases, 1, progress=False)
        assert "is claimed as the T1 of case1 and the T2 of case1" in summary.failures["case1"]
        assert summary.training == ["case2"]

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("a", "a"), "2 cases have the name 'a'"),
            (("a", "../b"), r"'\.\./b' is not valid"),
            (("a", "b.nii.gz"), r"'b\.nii\.gz' is that of a file; give the name alone, as 'b'"),
            (("P_a", "p_A"), "'P_a' and 'p_A' differ in upper and lower case alone"),
        ],
    )
    def test_names(self, names, message, cases, tmp_path):
        cases = [replace(case, name=name) for case, name in zip(cases, names, strict=True)]
        with pytest.raises(DataError, match=message):
            convert_cohort(tmp_path / "Dataset001_X", SPEC, cases, 1, progress=False)
        assert not (tmp_path / "Dataset001_X").exists()

    def test_no_case(self, tmp_path):
        with pytest.raises(DataError, match="There is no case to convert"):
            convert_cohort(tmp_path / "Dataset001_X", SPEC, [], 1, progress=False)

    def test_volumes_of_a_4d_file(self, cases, tmp_path):
        images = [nibabel.load(path) for path in cases[0].images]
        both = np.stack([np.asanyarray(image.dataobj) for image in images], axis=-1)
        nibabel.save(nibabel.Nifti1Image(both, images[0].affine), tmp_path / "both.nii.gz")
        case = replace(cases[0], images=(tmp_path / "both.nii.gz",) * 2, volumes=(1, 0))
        summary = convert_cohort(tmp_path / "Dataset001_X", SPEC, [case], 1, progress=False)
        assert summary.failures == {}
        for channel, volume in enumerate((1, 0)):
            data, grid = read_image(tmp_path / "Dataset001_X" / "imagesTr" / f"case1_{channel:04d}.nii.gz")
            np.testing.assert_array_equal(data, both[..., volume])
            np.testing.assert_array_equal(grid.ras_affine, images[0].affine)

    def test_volume_that_is_not_there(self, cases, tmp_path):
        case = replace(cases[0], volumes=(0, 1))
        summary = convert_cohort(tmp_path / "Dataset001_X", SPEC, [case], 1, progress=False)
        assert "has shape (24, 24, 24); expected a 4D image with 1 volumes or more" in summary.failures["case1"]

    def test_rows_of_the_table_are_what_csv_readers_read(self, cases, tmp_path):
        cases[0] = replace(cases[0], patient="p, 1", site="A;B", images=(None, cases[0].images[1]))
        convert_cohort(tmp_path / "Dataset001_X", SPEC, cases, 1, progress=False)
        rows = list(csv.DictReader((tmp_path / "Dataset001_X" / "cases.csv").open()))
        assert rows[0]["patient"] == "p, 1" and rows[0]["site"] == "A;B" and rows[0]["modalities"] == "T2"
