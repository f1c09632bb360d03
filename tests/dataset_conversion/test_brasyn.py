"""BraSyn: complete training cases, and test cases that lack one modality each."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest

from nnunet_hetero.dataset_conversion import brasyn
from nnunet_hetero.dataset_conversion.phantom import make_phantom

GAPS = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR"}


def _convert(raw, *arguments):
    return brasyn.main(["-i", str(raw), "-d", "504", "-np", "1", *arguments])


@pytest.fixture
def validation(tmp_path, write_case_since_2023):
    """A pseudo validation set as the challenge's script makes it: no segmentation, one modality dropped at random."""
    for index, gap in enumerate(GAPS, start=1):
        write_case_since_2023(
            tmp_path / f"raw/pseudo_validation/BraTS-GLI-0000{index}-000", index, without=(gap, "seg")
        )
    return tmp_path / "raw"


class TestBraSyn:
    def test_training_and_test_cases(self, validation, write_case_since_2023, nnunet_raw):
        write_case_since_2023(validation / "TrainingData/BraTS-GLI-00005-000", 5)
        write_case_since_2023(validation / "TrainingData/BraTS-MET-00006-000", 6)
        assert _convert(validation) == 0
        dataset = nnunet_raw / "Dataset504_BraSyn"
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["numTraining"] == 2
        assert content["missing_modalities"] == {
            f"BraTS-GLI-0000{index}-000": [name] for index, name in enumerate(GAPS.values(), start=1)
        }
        for index, gap in enumerate(GAPS, start=1):
            source = make_phantom(index, size=24, seed=5)
            for channel, (what, modality) in enumerate(zip(GAPS, ("t1", "t1ce", "t2", "flair"), strict=True)):
                image = nibabel.load(dataset / "imagesTs" / f"BraTS-GLI-0000{index}-000_{channel:04d}.nii.gz")
                np.testing.assert_array_equal(np.asanyarray(image.dataobj), source[modality] * (what != gap))
                np.testing.assert_array_equal(image.affine, source["affine"])
        rows = list(csv.DictReader((dataset / "cases.csv").open()))
        assert [row["grade"] for row in rows] == ["GLI"] * 5 + ["MET"]
        assert [row["subset"] for row in rows] == ["test"] * 4 + ["train"] * 2
        assert rows[1]["modalities"] == "T1;T2;FLAIR"

    def test_labelled_cases_with_a_gap_are_for_training(self, tmp_path, write_case_since_2023, nnunet_raw):
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00001-000", 1, without=("t2w",))
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00002-000", 2)
        assert _convert(tmp_path / "raw") == 0
        content = json.loads((nnunet_raw / "Dataset504_BraSyn" / "dataset.json").read_text())
        assert content["numTraining"] == 2 and content["missing_modalities"] == {"BraTS-GLI-00001-000": ["T2"]}

    def test_validation_set_alone(self, validation, nnunet_raw, capsys):
        assert _convert(validation) == 0
        assert "There is no training case, hence no dataset.json" in capsys.readouterr().out
        dataset = nnunet_raw / "Dataset504_BraSyn"
        assert len(list((dataset / "imagesTs").iterdir())) == 16
        assert sorted(path.name for path in dataset.iterdir() if path.is_file()) == [
            "cases.csv",
            "conversion_summary.txt",
        ]
        assert _convert(validation) == 0  # again
        assert "4 of them from an earlier run" in capsys.readouterr().out

    def test_two_gaps_are_not_of_brasyn(self, validation, write_case_since_2023, nnunet_raw, capsys):
        write_case_since_2023(validation / "BraTS-GLI-00009-000", 1, without=("t1n", "t1c"))
        assert _convert(validation) == 1
        assert (
            "BraTS-GLI-00009-000: it lacks T1, T1c, and BraSyn leaves out one modality a case"
            in capsys.readouterr().err
        )

    def test_other_challenges_are_refused(self, tmp_path, write_case_since_2023, nnunet_raw, capsys):
        write_case_since_2023(tmp_path / "raw/BraTS-PED-00001-000")
        assert _convert(tmp_path / "raw") == 1
        assert "holds BraTS pediatric. Convert it by: nnunet_hetero convert brats2023" in capsys.readouterr().err
