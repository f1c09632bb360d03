"""Cases of a folder, and the modalities that the user leaves on."""

from __future__ import annotations

import pytest

from nnunet_hetero.cases.find import find_cases, kept_modalities
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


class TestKeptModalities:
    @pytest.mark.parametrize(
        ("missing", "available", "kept"),
        [
            ([], [], (0, 1, 2, 3)),
            (["t1c"], [], (0, 2, 3)),
            (["T1C", "3"], [], (0, 2)),
            (["T1c,flair"], [], (0, 2)),
            ([], ["FLAIR", "t1"], (0, 3)),
            ([], ["2"], (2,)),
            (["t1"], ["FLAIR"], (3,)),
        ],
    )
    def test_names_and_numbers(self, missing, available, kept):
        assert kept_modalities(BRATS, missing, available) == kept

    @pytest.mark.parametrize(
        ("missing", "available", "message"),
        [
            (["T1Gd"], [], r"Unknown modality 'T1Gd'.*T1c \(1\)"),
            ([], ["4"], "Unknown modality '4'"),
            (["t1c", "T1c"], [], "--missing: modality 'T1c' is named more than once"),
            ([], ["FLAIR", "3"], "--available: modality 'FLAIR' is named more than once"),
            (["0", "1", "2", "3"], [], "leaves no modality"),
            (["t2"], ["T2", "FLAIR"], "T2 stands in both --missing and --available"),
        ],
    )
    def test_errors(self, missing, available, message):
        with pytest.raises(SettingsError, match=message):
            kept_modalities(BRATS, missing, available)


class TestFolder:
    def _find(self, folder, *names):
        for name in names:
            (folder / name).touch()
        return find_cases(folder, BRATS, ".nii.gz")

    def test_cases_with_gaps_are_sorted(self, tmp_path):
        cases = self._find(
            tmp_path,
            "b_1_0003.nii.gz",
            "a_0000.nii.gz",
            "a_0002.nii.gz",
            "b_1_0000.nii.gz",
            "._a_0001.nii.gz",
            "x.json",
        )
        assert [case.name for case in cases] == ["a", "b_1"]
        assert cases[0].files == (str(tmp_path / "a_0000.nii.gz"), None, str(tmp_path / "a_0002.nii.gz"), None)
        assert [file is None for file in cases[1].files] == [False, True, True, False]
        assert not any(case.problem for case in cases)

    def test_channel_that_the_dataset_does_not_have(self, tmp_path):
        good, bad = self._find(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz", "b_0004.nii.gz")
        assert good.problem is None
        assert "b_0004.nii.gz is channel 4, but the dataset has 4 channels: 0000 T1, 0001 T1c" in bad.problem

    def test_files_without_channel_are_ignored_with_a_note(self, tmp_path, capsys):
        assert len(self._find(tmp_path, "a_0000.nii.gz", "label.nii.gz")) == 1
        assert (
            "Ignored 1 file(s) without a channel number _XXXX in their name, e.g. label.nii.gz"
            in capsys.readouterr().out
        )

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ([], r"no image named CASE_XXXX.nii.gz \(.*CASE_0000.nii.gz for T1"),
            (["a.nii.gz"], "1 other file.*a.nii.gz"),
        ],
    )
    def test_no_case(self, tmp_path, names, message):
        with pytest.raises(DataError, match=message):
            self._find(tmp_path, *names)

    def test_no_folder(self, tmp_path):
        with pytest.raises(DataError, match="does not exist"):
            find_cases(tmp_path / "nowhere", BRATS, ".nii.gz")


class TestLists:
    @pytest.mark.parametrize(
        ("entries", "files"),
        [
            (["d/a_0003.nii.gz", "d/a_0001.nii.gz"], (None, "d/a_0001.nii.gz", None, "d/a_0003.nii.gz")),
            (["x.nii.gz", None, None, "y.nii.gz"], ("x.nii.gz", None, None, "y.nii.gz")),
        ],
    )
    def test_by_number_or_by_position(self, entries, files):
        (case,) = find_cases([entries], BRATS, ".nii.gz")
        assert (case.files, case.problem) == (files, None)

    @pytest.mark.parametrize(
        ("entries", "problem"),
        [
            (["a_0000.nii.gz", "b_0000.nii.gz"], "channel 0 (T1) is given more than once"),
            (["x.nii.gz", "y.nii.gz"], "give one entry per channel"),
        ],
    )
    def test_problems(self, entries, problem):
        (case,) = find_cases([entries], BRATS, ".nii.gz")
        assert problem in case.problem

    def test_empty_list(self):
        with pytest.raises(DataError, match="without any file"):
            find_cases([[None]], BRATS, ".nii.gz")
