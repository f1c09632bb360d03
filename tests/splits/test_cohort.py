"""What splits know of the cases: from the table, the names, dataset.json or the images."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.splits.cohort import CohortCase, read_cohort

HEADER = ["case", "patient", "site", "grade", "subset", "modalities"]


class TestPatients:
    def test_from_the_names(self, write_dataset):
        raw = write_dataset(["BraTS-GLI-00012-000", "BraTS-GLI-00012-101", "sub-03_ses-1", "sub-03_ses-2", "other-1-2"])
        assert [case.patient for case in read_cohort(raw)] == [
            "BraTS-GLI-00012",
            "BraTS-GLI-00012",
            "other-1-2",
            "sub-03",
            "sub-03",
        ]

    def test_by_a_pattern(self, write_dataset):
        raw = write_dataset(["P1x1", "P1x2", "Q"])
        assert [case.patient for case in read_cohort(raw, patient_pattern=r"(P\d)x\d")] == ["P1", "P1", "Q"]

    def test_converter_that_does_not_know_the_patient(self, write_dataset):
        names = ["sub-1_ses-1", "sub-1_ses-2"]
        raw = write_dataset(names, rows=[HEADER, *([name, name, "", "", "train", "T1"] for name in names)])
        assert [case.patient for case in read_cohort(raw)] == ["sub-1", "sub-1"]

    def test_pattern_of_the_user_wins_over_the_converter(self, write_dataset):
        raw = write_dataset(["P1x1", "P1x2"], rows=[HEADER, ["P1x1", "other", "", "", "train", "T1"]])
        assert [case.patient for case in read_cohort(raw, patient_pattern=r"(P\d)x\d")] == ["P1", "P1"]

    @pytest.mark.parametrize(("pattern", "message"), [("(", "no regular expression"), ("P.*", "has no group")])
    def test_bad_pattern(self, pattern, message, write_dataset):
        with pytest.raises(SettingsError, match=message):
            read_cohort(write_dataset(["a"]), patient_pattern=pattern)

    def test_table_of_the_converter(self, write_dataset):
        rows = [HEADER, ["a", "p", "CBICA", "HGG", "train", "T1;T2"], ["b", "p", "", "", "train", "T1"]]
        assert read_cohort(write_dataset(["a", "b", "c"], {"b": ["T2"]}, rows)) == [
            CohortCase("a", "p", "CBICA", "HGG"),
            CohortCase("b", "p", missing=("T2",)),
            CohortCase("c", "c"),
        ]

    def test_table_of_the_user_with_semicolons_and_byte_order_mark(self, write_dataset, tmp_path):
        table = tmp_path / "mine.csv"
        table.write_text("Case;Site\na; X \n\n", encoding="utf-8-sig")
        assert read_cohort(write_dataset(["a"], rows=[HEADER, ["a", "p", "Y", "", "train", ""]]), table) == [
            CohortCase("a", "a", "X")
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("case,site\na,X\nz,Y\n", r"1 case\(s\) that the dataset .* does not have, e.g. 'z'"),
            ("name,site\na,X\n", "first row of column names with 'case'"),
            ("case,site\na,X\na,Y\n", "case 'a' stands in the rows 2 and 3"),
            ("case,site\na\n", "row 2: 1 cells, the first row has 2 columns"),
            ("", "is empty"),
        ],
    )
    def test_bad_table(self, text, message, write_dataset, tmp_path):
        table = tmp_path / "mine.csv"
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            read_cohort(write_dataset(["a"]), table)

    def test_table_that_is_not_there(self, write_dataset, tmp_path):
        with pytest.raises(DataError, match=r"none\.csv is not there"):
            read_cohort(write_dataset(["a"]), tmp_path / "none.csv")


class TestGaps:
    def test_read_off_the_images_where_dataset_json_is_silent(self, write_dataset, capsys):
        raw = write_dataset(["a", "b"])
        content = json.loads((raw / "dataset.json").read_text())
        del content["missing_modalities"]
        (raw / "dataset.json").write_text(json.dumps(content))
        for file in (raw / "imagesTr").iterdir():
            image = np.zeros((4, 4, 4), np.int16)
            image[1] = 0 if file.name == "b_0001.nii.gz" else 7
            sitk.WriteImage(sitk.GetImageFromArray(image), str(file))
        (raw / "imagesTr" / "b_0003.nii.gz").unlink()
        assert [case.missing for case in read_cohort(raw)] == [(), ("T1c", "FLAIR")]
        assert "Looking for missing modalities" in capsys.readouterr().err

    def test_dataset_that_lists_its_files(self, write_dataset):
        raw = write_dataset(["a", "b"])
        content = json.loads((raw / "dataset.json").read_text())
        files = [f"imagesTr/a_{channel:04d}.nii.gz" for channel in range(4)]
        content["dataset"] = {"listed": {"images": files, "label": "labelsTr/a.nii.gz"}}
        (raw / "dataset.json").write_text(json.dumps(content))
        assert [case.name for case in read_cohort(raw)] == ["listed"]

    def test_no_dataset(self, raw):
        raw.mkdir()
        with pytest.raises(DataError, match=r"dataset.json is not there"):
            read_cohort(raw)
