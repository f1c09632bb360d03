"""Cases of a folder, and the modalities that the user leaves on."""

from __future__ import annotations

import os

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


def find(folder, *names):
    for name in names:
        (folder / name).touch()
    return find_cases(folder, BRATS, ".nii.gz")


class TestFolder:
    def test_cases_with_gaps_are_sorted(self, tmp_path):
        cases = find(
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
        good, bad = find(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz", "b_0004.nii.gz")
        assert good.problem is None
        assert "b_0004.nii.gz is channel 4, but the dataset has 4 channels: 0000 T1, 0001 T1c" in bad.problem

    def test_files_without_channel_are_ignored_with_a_note(self, tmp_path, capsys):
        assert len(find(tmp_path, "a_0000.nii.gz", "label.nii.gz")) == 1
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
            find(tmp_path, *names)

    def test_no_folder(self, tmp_path):
        with pytest.raises(DataError, match="does not exist"):
            find_cases(tmp_path / "nowhere", BRATS, ".nii.gz")


class TestDoubtfulNames:
    def test_case_that_lacks_what_a_file_could_be(self, tmp_path):
        bad, good = find(tmp_path, "X_0000.nii.gz", "X_0001.nii", "Y_0000.nii.gz")
        assert good.problem is None
        assert bad.problem.startswith("Case 'X' has no T1c (channel 1), but X_0001.nii lies there and could be it.")
        assert "--missing T1c" in bad.problem

    def test_modality_that_is_switched_off_does_not_matter(self, tmp_path):
        find(tmp_path, "X_0000.nii.gz", "X_0001.nii")
        (case,) = find_cases(tmp_path, BRATS, ".nii.gz", kept=(0, 2, 3))
        assert case.problem is None

    def test_copy_of_what_is_there_is_ignored_with_a_word(self, tmp_path, capsys):
        (case,) = find(tmp_path, "X_0000.nii.gz", "X_0000 (1).nii.gz")
        assert case.problem is None
        assert (
            "WARNING: case 'X': X_0000 (1).nii.gz is ignored, since there is X_0000.nii.gz" in capsys.readouterr().out
        )

    def test_image_in_a_folder_below(self, tmp_path, capsys):
        for folder in ("below", ".hidden"):
            (tmp_path / folder).mkdir()
        for name in ("X_0000.nii.gz", "X_0001.nii.gz", "Z_0001.nii.gz"):
            (tmp_path / "below" / name).touch()
        (tmp_path / ".hidden" / "X_0002.nii.gz").touch()
        (case,) = find(tmp_path, "X_0000.nii.gz")
        assert case.problem is None and not any(case.files[1:])
        said = capsys.readouterr().out.splitlines()
        assert said == [
            f"WARNING: case 'X' has no T1c, but {os.path.join('below', 'X_0001.nii.gz')} lies in a folder below, where "
            "images are not looked for. If it belongs to the case, move it up."
        ]

    @pytest.mark.parametrize("name", ["X_0000.nrrd", "X_0000.nii"])
    def test_two_formats_of_one_image(self, tmp_path, name):
        (case,) = find(tmp_path, "X_0000.nii.gz", name)
        assert f"X_0000.nii.gz and {name} both claim channel 0 (T1)" in case.problem

    def test_case_without_any_image_of_the_right_name(self, tmp_path):
        good, bad = find(tmp_path, "a_0000.nii.gz", "b-0002.nii.gz")
        assert (good.name, good.problem) == ("a", None)
        assert (bad.name, bad.files) == ("b", (None,) * 4)
        assert (
            "Case 'b' has no image named b_XXXX.nii.gz, but b-0002.nii.gz lies there and could be its T2" in bad.problem
        )

    def test_folder_with_other_format_only(self, tmp_path):
        with pytest.raises(DataError, match=r"2 file\(s\) that could be images under another name, e.g. a_0000.nii\. "):
            find(tmp_path, "a_0000.nii", "a_0001.nii")

    def test_names_that_differ_in_letters_are_two_cases_and_said(self, tmp_path, capsys):
        cases = find(tmp_path, "X_0000.nii.gz", "x_0001.nii.gz")
        assert [(case.name, case.problem) for case in cases] == [("X", None), ("x", None)]
        assert "WARNING: 'X' and 'x' are taken for different cases. Are they one patient?" in capsys.readouterr().out

    def test_numbers_of_patients_read_as_channels(self, tmp_path):
        (case,) = find(tmp_path, *(f"BRATS_000{number}.nii.gz" for number in (1, 2, 3)))
        assert "no file of case 'BRATS' is _0000 (T1), only _0001 to _0003. Are these patients" in case.problem
        (case,) = find_cases(tmp_path, BRATS, ".nii.gz", kept=(1, 2, 3))
        assert case.problem is None
        cases = find(tmp_path, "OTHER_0000.nii.gz")
        assert not any(case.problem for case in cases)

    def test_name_with_the_number_of_a_patient_may_be_meant_so(self, tmp_path, capsys):
        (case,) = find(tmp_path, *(f"BRATS_012_000{number}.nii.gz" for number in (1, 2, 3)))
        assert case.problem is None
        assert "WARNING: no file of case 'BRATS_012' is _0000 (T1)" in capsys.readouterr().out

    def test_one_file_or_several_cases_may_be_meant_so(self, tmp_path, capsys):
        (case,) = find(tmp_path, "a_0001.nii.gz")
        assert case.problem is None
        assert "WARNING: no file of case 'a' is _0000 (T1), only _0001 to _0001" in capsys.readouterr().out
        cases = find(tmp_path, "a_0002.nii.gz", "b_0001.nii.gz", "b_0002.nii.gz")
        assert not any(case.problem for case in cases)

    def test_label_map_or_image(self, tmp_path):
        bad, good = find(tmp_path, "B_0001.nii.gz", "B_0001_0000.nii.gz")
        assert (good.name, good.problem) == ("B_0001", None)
        assert "B_0001.nii.gz is named as an image of it, and as the label map of another case" in bad.problem

    def test_label_maps_of_all_cases_are_ignored_with_a_word(self, tmp_path, capsys):
        names = [f"B_000{number}{rest}.nii.gz" for number in (1, 2) for rest in ("", "_0000")]
        assert [case.name for case in find(tmp_path, *names)] == ["B_0001", "B_0002"]
        assert "WARNING: 2 file(s) are taken for label maps and ignored" in capsys.readouterr().out


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
            (["x.nii.gz", "x.nii.gz", None, None], "x.nii.gz is given more than once"),
            # One name is not nnU-Net's, so that the order would count; the names say another one.
            (
                ["a_0000.nii.gz", "a_0002.nii", "a_0001.nii.gz", "a_0003.nii.gz"],
                "in the place of T1c, but its name says T2",
            ),
            (["x_t1.nii.gz", "x_flair.nii.gz", None, None], "x_flair.nii.gz stands in the place of T1c"),
        ],
    )
    def test_problems(self, entries, problem):
        (case,) = find_cases([entries], BRATS, ".nii.gz")
        assert problem in case.problem

    def test_empty_list(self):
        with pytest.raises(DataError, match="without any file"):
            find_cases([[None]], BRATS, ".nii.gz")


def test_name_that_is_no_text(tmp_path):
    (tmp_path / "a_0000.nii.gz").touch()
    open(os.fsencode(tmp_path) + b"/M\xfcller_0000.nii.gz", "w").close()
    problems = {case.name: case.problem for case in find_cases(tmp_path, BRATS, ".nii.gz")}
    assert problems.pop("a") is None
    (problem,) = problems.values()
    assert "M\\xfcller_0000.nii.gz' is no text in utf-8" in problem
