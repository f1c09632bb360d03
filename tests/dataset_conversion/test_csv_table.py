"""Cohorts that a CSV describes: any modalities, absent files, and what is wrong with the table."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.phantoms import phantom, save_nifti
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import (
    channel_name_to_normalization_mapping,
)

from nnunet_hetero.cli.main import main
from nnunet_hetero.dataset_conversion import csv_table
from nnunet_hetero.errors import SettingsError

HEADER = ["case", "T1", "T1c", "T2", "FLAIR", "label"]
FILES = ("t1", "t1ce", "t2", "flair", "seg")
CLASSES = ("--classes", "whole=1+2+4", "core=1+4", "enhancing=4")

Rows = list[list[str]]


@pytest.fixture
def rows(tmp_path) -> Rows:
    """Cells of three cases; the files lie in other folders than the table, and one path is absolute."""
    for index in (1, 2, 3):
        for what in FILES:
            save_nifti(phantom(index)[what], phantom(index)["affine"], tmp_path / f"images/{index}/{what}.nii.gz")
    cells = [[f"../images/{index}/{what}.nii.gz" for what in FILES] for index in (1, 2, 3)]
    cells[1][1] = cells[1][2] = ""
    cells[2][0] = str(tmp_path / "images/3/t1.nii.gz")
    return [HEADER, *([f"P{index}", *paths] for index, paths in enumerate(cells, start=1))]


@pytest.fixture
def table(tmp_path) -> Callable[[Rows], Path]:
    """Function that writes rows to ``tables/cohort.csv``."""

    def write(content: Rows) -> Path:
        file = tmp_path / "tables" / "cohort.csv"
        file.parent.mkdir(exist_ok=True)
        with open(file, "w", newline="") as stream:
            csv.writer(stream).writerows(content)
        return file

    return write


def convert(file: Path, *arguments: str) -> int:
    return main(["convert", "csv", "-i", str(file), "-d", "505", "-np", "1", *(arguments or CLASSES)])


def dataset_json(nnunet_raw: Path) -> dict:
    return json.loads((nnunet_raw / "Dataset505_Cohort" / "dataset.json").read_text())


class TestConversion:
    def test_voxels_affine_labels_and_gaps(self, rows, table, nnunet_raw):
        assert convert(table(rows)) == 0
        dataset = nnunet_raw / "Dataset505_Cohort"
        for index in (1, 2, 3):
            source = phantom(index)
            for channel, what in enumerate(FILES[:4]):
                image = nibabel.load(dataset / f"imagesTr/P{index}_{channel:04d}.nii.gz")
                absent = index == 2 and what in ("t1ce", "t2")
                assert np.array_equal(image.get_fdata(), 0 * source[what] if absent else source[what])
                assert np.allclose(image.affine, source["affine"])
            label = nibabel.load(dataset / f"labelsTr/P{index}.nii.gz").get_fdata()
            assert np.array_equal(label, np.where(source["seg"] == 4, 3, source["seg"]))
        content = dataset_json(nnunet_raw)
        assert content["missing_modalities"] == {"P2": ["T1c", "T2"]}
        assert content["labels"] == {"background": 0, "whole": [1, 2, 3], "core": [1, 3], "enhancing": 3}
        assert content["regions_class_order"] == [2, 1, 3]

    def test_other_modalities_in_the_order_of_their_columns(self, rows, table, nnunet_raw, capsys):
        names = ["DWI-b1000", "CT", "ADC", "PET"]
        file = table([["label", *names, "Case"], *([row[5], *row[1:5], row[0]] for row in rows[1:])])
        assert convert(file, "--labels", *CLASSES[1:]) == 0
        assert dataset_json(nnunet_raw)["channel_names"] == dict(zip("0123", names, strict=True))
        assert "nnU-Net normalises by the channel's name: CT; z-score for the rest." in capsys.readouterr().out

    def test_patients_sites_grades_and_test_cases(self, rows, table, nnunet_raw):
        extra = [
            ["Patient", "site", "grade", "split"],
            ["p", "A", "HGG", "train"],
            ["p", "", "", ""],
            ["q", "B", "", "Test"],
        ]
        assert convert(table([row + more for row, more in zip(rows, extra, strict=True)])) == 0
        dataset = nnunet_raw / "Dataset505_Cohort"
        assert (dataset / "cases.csv").read_text().splitlines()[1:] == [
            "P1,p,A,HGG,train,T1;T1c;T2;FLAIR",
            "P2,p,,,train,T1;FLAIR",
            "P3,q,B,,test,T1;T1c;T2;FLAIR",
        ]
        assert dataset_json(nnunet_raw)["numTraining"] == 2
        assert [path.name for path in (dataset / "labelsTs").iterdir()] == ["P3.nii.gz"]
        assert len(list((dataset / "imagesTs").iterdir())) == 4
        # A case that becomes a training case leaves nothing behind.
        assert convert(table(rows)) == 0
        assert dataset_json(nnunet_raw)["numTraining"] == 3
        assert not list((dataset / "imagesTs").iterdir()) and not list((dataset / "labelsTs").iterdir())

    def test_unlabelled_cohort(self, rows, table, nnunet_raw):
        file = table([row[:5] for row in rows])
        assert convert(file, *CLASSES, "--unlabelled-to-imagesTs") == 0
        assert len(list((nnunet_raw / "Dataset505_Cohort" / "imagesTs").iterdir())) == 12

    def test_dry_run_writes_nothing(self, rows, table, nnunet_raw, capsys):
        assert convert(table(rows), *CLASSES, "--dry-run") == 0
        assert list(nnunet_raw.iterdir()) == []
        assert "P2: T1c, T2" in capsys.readouterr().out


def change(row: int, column: str, value: str) -> Callable[[Rows], Rows]:
    def changed(rows: Rows) -> Rows:
        rows[row - 1][HEADER.index(column)] = value
        return rows

    return changed


def append_column(name: str, *cells: str) -> Callable[[Rows], Rows]:
    return lambda rows: [[*row, cell] for row, cell in zip(rows, (name, *cells), strict=True)]


# What is done to the rows, and what is said; the file's first row is row 1.
CASES = {
    "path that is not there": (change(3, "T1", "gone.nii.gz"), r"P2: row 3 of cohort.csv: .*gone.nii.gz is not there"),
    "label that is not there": (change(3, "label", "gone.nii"), r"P2: row 3 of cohort.csv: .*gone.nii is not there"),
    "no modality": (
        lambda rows: [*rows[:2], ["P2", "", "", "", "", rows[2][5]], rows[3]],
        r"P2: row 3 of cohort.csv: it has no modality; the columns T1, T1c, T2, FLAIR are empty",
    ),
    "two modalities": (
        change(3, "T2", "../images/2/t1.nii.gz"),
        r"P2: row 3 of cohort.csv: .*t1.nii.gz is claimed 2 times: row 3 as T1, row 3 as T2",
    ),
    "file of another case": (
        change(3, "label", "../tables/../images/3/seg.nii.gz"),
        r"P2: row 3 .*seg.nii.gz is claimed 2 times: row 3 as label, row 4 as label",
    ),
    "image as label": (change(3, "label", "../images/2/t1.nii.gz"), r"P2: row 3 .* row 3 as T1, row 3 as label"),
    "no label": (change(3, "label", ""), r"P2: it has no segmentation"),
}
TABLES = {
    "case twice": (change(4, "case", "P1"), r"case 'P1' stands in the rows 2 and 4"),
    "unknown column": (
        append_column("Age", "52", "", "61"),
        r"unknown column 'Age', with cells such as '52'. Columns are",
    ),
    "no image": (change(3, "T2", "scan.png"), r"row 3, column 'T2': 'scan.png' is no image"),
    "unknown split": (append_column("split", "train", "val", ""), r"row 3: 'val' in the column 'split'"),
    "empty column": (append_column("PET", "", "", ""), r"No case has PET"),
    "bad name": (change(2, "case", "P 1"), r"case name 'P 1' is not valid"),
    "no rows": (lambda rows: rows[:1], "has no row below its column names"),
    "segmentations under another name": (
        lambda rows: [[*rows[0][:5], "Lesion_mask"], *rows[1:]],
        r"'Lesion_mask' would become a modality.*Segmentations stand in the column 'label'",
    ),
    "no modalities": (lambda rows: [["case", "label"], ["P1", rows[1][5]]], "has no column for a modality"),
}


class TestBadTables:
    @pytest.mark.parametrize("kind", CASES)
    def test_bad_case_is_named_and_left_out(self, kind, rows, table, nnunet_raw, capsys):
        damage, message = CASES[kind]
        assert convert(table(damage(rows))) == 1
        error = capsys.readouterr().err
        assert re.search(message, error), error
        assert not list(nnunet_raw.rglob("P2*"))
        assert list(nnunet_raw.rglob("labelsTr/P1.nii.gz"))

    @pytest.mark.parametrize("kind", TABLES)
    def test_bad_table_is_refused(self, kind, rows, table, nnunet_raw, capsys):
        damage, message = TABLES[kind]
        assert convert(table(damage(rows))) == 1
        error = capsys.readouterr().err
        assert re.search(message, error), error
        assert list(nnunet_raw.iterdir()) == []

    def test_other_grid(self, rows, table, nnunet_raw, tmp_path, capsys):
        save_nifti(phantom(2)["flair"][1:], phantom(2)["affine"], tmp_path / "images/2/flair.nii.gz")
        assert convert(table(rows)) == 1
        assert re.search(r"P2: .*flair.nii.gz has shape \(23, 24, 24\) instead of", capsys.readouterr().err)

    def test_value_without_a_class(self, rows, table, nnunet_raw, capsys):
        assert convert(table(rows), "--classes", "core=1", "edema=2") == 1
        assert re.search(
            r"seg.nii.gz has the labels 0, 1, 2, 4; expected only 0, 1, 2.*--classes", capsys.readouterr().err
        )

    def test_no_classes(self, rows, table, nnunet_raw, capsys):
        assert csv_table.main(["-i", str(table(rows)), "-d", "505"]) == 1
        assert "Say it, e.g. --classes lesion=1" in capsys.readouterr().err


class TestNamesOfOthers:
    def test_one_column_in_another_order(self, tmp_path, nnunet_raw, capsys):
        """As a spreadsheet leaves it that has sorted one column alone; the third row is as it was."""
        for case, what in product("ABC", ("t1", "seg")):
            save_nifti(phantom(1)[what], phantom(1)["affine"], tmp_path / f"{case}_{what}.nii.gz")
        rows = [
            "case,T1,label",
            "A,A_t1.nii.gz,B_seg.nii.gz",
            "B,B_t1.nii.gz,A_seg.nii.gz",
            "C,C_t1.nii.gz,C_seg.nii.gz",
        ]
        (tmp_path / "cohort.csv").write_text("\n".join(rows))
        assert convert(tmp_path / "cohort.csv") == 1
        error = capsys.readouterr().err
        assert "A: row 2 of cohort.csv: B_seg.nii.gz, its label, has the name of case B in it" in error
        assert "B: row 3 of cohort.csv: A_seg.nii.gz, its label, has the name of case A in it" in error
        assert [file.name for file in (nnunet_raw / "Dataset505_Cohort" / "labelsTr").iterdir()] == ["C.nii.gz"]

    def test_names_of_files_that_say_nothing_of_cases(self, rows, table, nnunet_raw):
        for row, case in zip(rows[1:], ("images", "2", "1"), strict=True):
            row[0] = case
        assert convert(table(rows)) == 0

    def test_a_mask_that_is_left_out(self, rows, table, nnunet_raw):
        """Another column of masks does no harm if it becomes no channel."""
        rows = [[*row, cell] for row, cell in zip(rows, ("brain_mask", "", "", ""), strict=True)]
        assert convert(table(rows), *CLASSES, "--modalities", "T1", "FLAIR") == 0


def test_a_value_that_no_segmentation_has_is_pointed_out(rows, table, nnunet_raw, capsys):
    assert convert(table(rows), "--classes", "core=1", "edema=2", "enhancing=4", "cyst=7") == 0
    assert "warning: no training case has a voxel of cyst, so no model can learn it." in capsys.readouterr().out
    assert convert(table(rows), "--classes", "core=1", "edema=2", "enhancing=4", "cyst=7") == 0  # from the records
    assert "warning: no training case has a voxel of cyst" in capsys.readouterr().out


class TestNormalisation:
    def test_channel_is_called_by_its_scheme(self, rows, table, nnunet_raw, capsys):
        rows[0][1:5] = ["CTA", "PET", "T2", "FLAIR"]
        assert convert(table(rows), *CLASSES, "--normalisation", "CTA=ct", "PET=noNorm") == 0
        assert list(dataset_json(nnunet_raw)["channel_names"].values()) == ["CT", "noNorm", "T2", "FLAIR"]
        assert "name: CT, noNorm; z-score for the rest" in capsys.readouterr().out

    def test_names_are_those_of_nnunet(self):
        assert {name.casefold() for name in csv_table.NORMALISATIONS} == set(channel_name_to_normalization_mapping)

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            (["CTA"], "'CTA' is not MODALITY=SCHEME"),
            (["T9=CT"], "'T9=CT' is not MODALITY=SCHEME; modalities are CTA, CTP"),
            (["CTA=hounsfield"], "schemes CT, noNorm"),
            (["CTA=CT", "CTP=CT"], "would call the channels CT, CT.*only one channel"),
        ],
    )
    def test_bad_entries(self, entries, message):
        with pytest.raises(SettingsError, match=message):
            csv_table.rename_channels(["CTA", "CTP"], entries)


class TestEmptyCells:
    def test_an_image_beside_an_empty_cell_is_pointed_out(self, tmp_path, nnunet_raw, capsys):
        for case, index in (("P1", 1), ("P2", 2)):
            for what in ("t1", "flair", "seg"):
                save_nifti(phantom(index)[what], phantom(index)["affine"], tmp_path / case / f"{what}.nii.gz")
        file = tmp_path / "cohort.csv"
        file.write_text(
            "case,T1,FLAIR,label\nP1,P1/t1.nii.gz,P1/flair.nii.gz,P1/seg.nii.gz\nP2,P2/t1.nii.gz,,P2/seg.nii.gz\n"
        )
        assert main(["convert", "csv", "-i", str(file), "-d", "505", "-np", "1", *CLASSES]) == 0
        passed_over = tmp_path / "P2" / "flair.nii.gz"
        assert f"case P2 has no FLAIR in the table, but {passed_over} lies there" in capsys.readouterr().out
