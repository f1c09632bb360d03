"""Data sets that fill-gaps refuses, or warns of; nothing is changed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from helpers.tiny_model import SHAPE, tiny_dataset_json, write_case, write_image, write_json

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.fill import fill_gaps


@pytest.fixture
def dataset(tmp_path):
    """Six cases, `a` without T1c."""
    folder = tmp_path / "raw" / "Dataset501_Gaps"
    for seed, case in enumerate("abcdef"):
        present = [0, 2, 3] if case == "a" else None
        write_case(folder / "imagesTr", case, present, seed, labels=folder / "labelsTr")
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=6))
    return folder


def refused(folder, match: str) -> None:
    before = sorted(path for path in folder.rglob("*"))
    with pytest.raises(DataError, match=match):
        fill_gaps(CaseFolder.of_dataset(folder), progress=False)
    assert sorted(path for path in folder.rglob("*")) == before


def image(folder, case: str, channel: int):
    return folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz"


class TestRefused:
    def test_case_without_any_image(self, dataset):
        for channel in range(4):
            image(dataset, "b", channel).unlink()
        refused(dataset, "Case 'b' has no image at all.*Its label is .*b.nii.gz; or is this the label of another case")

    def test_case_whose_images_are_all_empty(self, dataset):
        for channel in (0, 2, 3):
            write_image(image(dataset, "a", channel), np.zeros(SHAPE, np.float32))
        refused(dataset, "Case 'a' has no modality left")

    def test_case_without_a_label(self, dataset):
        (dataset / "labelsTr" / "b.nii.gz").rename(dataset / "labelsTr" / "x.nii.gz")
        refused(dataset, r"(?s)2 thing\(s\) are wrong.*Case 'b' has no label: expected .*Case 'x' has no image")

    def test_label_of_another_case(self, dataset):
        write_case(dataset / "other", "a", [0], shape=(20, 18, 24), labels=dataset / "other")
        shutil.copy(dataset / "other" / "a.nii.gz", dataset / "labelsTr" / "a.nii.gz")
        shutil.rmtree(dataset / "other")
        refused(dataset, "Case 'a': label .* another grid than T1: shape .*It may be the label of another case")

    def test_two_files_for_one_modality(self, dataset):
        shutil.copy(image(dataset, "b", 1), image(dataset, "b", 1).with_name("b_0001.nrrd"))
        refused(dataset, "Case 'b': b_0001.nii.gz and b_0001.nrrd both claim channel 1")

    def test_unknown_channel(self, dataset):
        image(dataset, "b", 1).rename(image(dataset, "b", 4))
        refused(dataset, "Case 'b': file .*b_0004.nii.gz is channel 4, but the dataset has 4 channels")

    def test_modality_that_is_nowhere(self, dataset):
        for case in "bcdef":
            image(dataset, case, 1).unlink()
        refused(dataset, r"No case has T1c \(channel 1\)")

    def test_constant_image(self, dataset):
        write_image(image(dataset, "a", 2), np.full(SHAPE, 7, np.float32))
        refused(dataset, "a_0002.* has one value throughout, not 0")

    def test_images_on_two_grids(self, dataset):
        write_image(image(dataset, "a", 2), np.arange(20 * 18 * 24, dtype=np.float32).reshape(20, 18, 24))
        refused(dataset, "T2.* lies on another grid than T1")

    def test_damaged_image(self, dataset):
        image(dataset, "a", 3).write_bytes(image(dataset, "a", 3).read_bytes()[:300])
        refused(dataset, r"FLAIR.* is damaged or truncated")

    def test_colour_images(self, tmp_path):
        from skimage import io

        folder = tmp_path / "Dataset501_Colour"
        for subfolder in ("imagesTr", "labelsTr"):
            (folder / subfolder).mkdir(parents=True)
        for name in ("a_0000", "b_0000", "b_0001"):
            io.imsave(folder / "imagesTr" / f"{name}.png", np.full((8, 8, 3), 9, np.uint8), check_contrast=False)
        for name in "ab":
            io.imsave(folder / "labelsTr" / f"{name}.png", np.zeros((8, 8), np.uint8), check_contrast=False)
        content = {"channel_names": {"0": "A", "1": "B"}, "labels": {}, "numTraining": 2, "file_ending": ".png"}
        write_json(folder / "dataset.json", content)
        refused(folder, r"holds 3 image\(s\) in a 4D or colour file")

    def test_no_dataset_json(self, tmp_path):
        with pytest.raises(DataError, match=r"dataset\.json is not there"):
            CaseFolder.of_dataset(tmp_path)


class TestWarned:
    def test_modality_that_few_cases_have(self, dataset):
        for case in "bcd":
            image(dataset, case, 1).unlink()
        (warning,) = fill_gaps(CaseFolder.of_dataset(dataset), progress=False).warnings
        assert warning.startswith("Only 2 of 6 training cases have T1c.")

    def test_modality_that_only_test_cases_have(self, dataset):
        for case in "bcdef":
            image(dataset, case, 1).unlink()
        write_case(dataset / "imagesTs", "t", [1])
        (warning,) = fill_gaps(CaseFolder.of_dataset(dataset), progress=False).warnings
        assert warning.startswith("No training case has T1c, only imagesTs has it. The model will have an input")


class TestCommand:
    @pytest.fixture(autouse=True)
    def folders(self, dataset, monkeypatch, tmp_path):
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
        monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
        monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))

    def test_fill_and_undo(self, dataset, capsys):
        assert main(["fill-gaps", "-d", "501", "--dry-run"]) == 0
        assert "1 all-zero volume(s) would be written." in capsys.readouterr().out
        assert main(["fill-gaps", "-d", "501"]) == 0
        assert image(dataset, "a", 1).exists()
        assert main(["fill-gaps", "-d", "501", "--undo"]) == 0
        assert "1 all-zero volume(s) deleted." in capsys.readouterr().out
        assert not image(dataset, "a", 1).exists()

    def test_prediction_folder(self, dataset, tmp_path, capsys):
        write_case(tmp_path / "IN", "p", [0])
        (tmp_path / "MODEL").mkdir()
        write_json(tmp_path / "MODEL" / "dataset.json", tiny_dataset_json())
        for name in (["-d", "501"], ["-m", str(tmp_path / "MODEL")]):
            assert main(["fill-gaps", "-i", str(tmp_path / "IN"), *name]) == 0
            assert len(list((tmp_path / "IN").glob("*.nii.gz"))) == 4
            assert main(["fill-gaps", "-i", str(tmp_path / "IN"), *name, "--undo"]) == 0
            assert len(list((tmp_path / "IN").iterdir())) == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Which data set?"),
            (["-d", "501", "-m", "MODEL"], "-m says which channels"),
            (["-i", "IN"], "Which data set?"),
            (["-d", "501", "--undo", "--dry-run"], "exclude each other"),
            (["-d", "77"], "dataset with the ID 77"),
            (["-i", "NOWHERE", "-d", "501"], "input folder NOWHERE does not exist"),
        ],
    )
    def test_wrong_flags(self, arguments, message, capsys):
        assert main(["fill-gaps", *arguments]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and message in error
