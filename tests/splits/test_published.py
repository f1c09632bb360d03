"""Tables of splits as the authors of U-HVED published theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.splits.cohort import CohortCase
from nnunet_hetero.splits.published import read_published_fold
from nnunet_hetero.splits.schemes import Fold

CASES = ["Brats18_2013_2_1", "Brats18_CBICA_AAB_1", "Brats18_TCIA01_131_1", "Brats18_TCIA09_141_1"]
COHORT = [CohortCase(name, name) for name in CASES]
# The form of the authors' files dataset_split_X.csv and corresponding_naming.csv, with other rows.
AUTHORS = "HGG1_,Training\nHGG2_,Inference\nHGG9_,Training\nLGG1_,Validation\n"
NAMES = (
    "name,folder\nHGG1,HGG_Brats18_2013_2_1\nHGG2,HGG_Brats18_CBICA_AAB_1\nHGG9,HGG_Brats18_CBICA_ZZZ_1\n"
    "LGG1,LGG_Brats18_TCIA09_141_1\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


class TestReading:
    def test_authors_tables(self, tmp_path):
        split, names = write(tmp_path, "split.csv", AUTHORS), write(tmp_path, "names.csv", NAMES)
        found = read_published_fold(split, COHORT, names)
        assert found.fold == Fold([CASES[0]], [CASES[3]], [CASES[1]])
        assert found.unmatched == ["HGG9_"]
        assert found.left_out == [CASES[2]]

    @pytest.mark.parametrize("header", ["", "subject,part\n"])
    @pytest.mark.parametrize("prefix", ["", "HGG_"])
    def test_case_names_as_subjects(self, header, prefix, tmp_path):
        words = ["Training", "validation", "TEST", "train"]
        text = "".join(f"{prefix}{case.upper()},{word}\r\n" for case, word in zip(CASES, words, strict=True))
        found = read_published_fold(write(tmp_path, "split.csv", header + text), COHORT)
        assert found.fold == Fold([CASES[0], CASES[3]], [CASES[1]], [CASES[2]])
        assert not found.unmatched and not found.left_out


BAD = {
    "numbers without names": (
        AUTHORS,
        r"None of the 4 subjects .* 'HGG1_'.*give the table of their names with --names",
    ),
    "unknown word": (
        f"{CASES[0]},Training\n{CASES[1]},Holdout\n",
        r"split.csv, row 2 is '.*Holdout'; expected 'SUBJECT,'",
    ),
    "third column": (f"{CASES[0]},Training,x\n", "row 1 is .*; expected 'SUBJECT,'"),
    "subject twice": (f"{CASES[0]},Training\n{CASES[0]},Inference\n", "row 2: subject .* twice"),
    "case twice": (f"{CASES[0]},Training\nHGG_{CASES[0]},Inference\n", "subjects .* are both case 'Brats18_2013_2_1'"),
    "no validation": (f"{CASES[0]},Training\n", "1 are for training and 0 for validation"),
    "only a header": ("subject,part\n", "has no row such as"),
    "empty": ("", "split.csv is empty"),
}


class TestBadTables:
    @pytest.mark.parametrize("kind", BAD)
    def test_is_refused(self, kind, tmp_path):
        text, message = BAD[kind]
        with pytest.raises(DataError, match=message):
            read_published_fold(write(tmp_path, "split.csv", text), COHORT)

    def test_name_twice(self, tmp_path):
        names = write(tmp_path, "names.csv", NAMES + "HGG1,HGG_Brats18_TCIA01_131_1\n")
        with pytest.raises(DataError, match=r"names\.csv, row 6 is 'HGG1,.*each name once"):
            read_published_fold(write(tmp_path, "split.csv", AUTHORS), COHORT, names)

    def test_scans_of_one_patient_in_two_parts(self, tmp_path):
        cohort = [CohortCase(name, "one") for name in CASES]
        text = f"{CASES[0]},Training\n{CASES[1]},Validation\n"
        with pytest.raises(
            DataError, match=r"into train and '.*' into val, but both are of patient 'one'.*--ungrouped"
        ):
            read_published_fold(write(tmp_path, "split.csv", text), cohort)
