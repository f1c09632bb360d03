"""Each challenge of BraTS 2023 and 2024 is known by its names and keeps its own labels."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
from helpers.tiny_dataset import threads_for_processes
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.dataset_conversion import brats, brats2023
from nnunet_hetero.dataset_conversion.phantom import make_phantom

GLIOMA_FOLDER = "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData"
# challenge → (folders of the cases, raw labels of necrosis, oedema and enhancing tumour, classes that regions write)
CHALLENGES = {
    "gli-2023": (
        [f"{GLIOMA_FOLDER}/BraTS-GLI-00008-000", f"{GLIOMA_FOLDER}/BraTS-GLI-00008-001"],
        (1, 2, 3),
        [2, 1, 3],
    ),
    "gli-2024": (["training_data1_v2/BraTS-GLI-02143-100", "training_data1_v2/BraTS-GLI-02143-102"], (4, 2, 3), None),
    "men": (["BraTS-MEN-Train/BraTS-MEN-00004-000", "BraTS-MEN-Train/BraTS-MEN-00008-000"], (1, 2, 3), [2, 1, 3]),
    "met": (["MET/BraTS-MET-00002-000", "MET/BraTS-MET-00730-001"], (1, 2, 3), [2, 1, 3]),
    "ped-2023": (
        [f"ASNR-MICCAI-BraTS2023-PED-Challenge-TrainingData/BraTS-PED-0000{number}-000" for number in (2, 3)],
        (1, 2, 3),
        [2, 1, 3],
    ),
    "ped-2024": (
        [f"BraTS-PEDs2024_Training/BraTS-PED-0000{number}-000" for number in (2, 3)],
        (3, 4, 1),
        [4, 2, 3, 1],
    ),
    "ssa": (["95_Glioma/BraTS-SSA-00002-000", "51_OtherNeoplasms/BraTS-SSA-00018-000"], (1, 2, 3), [2, 1, 3]),
}


def _convert(raw, *arguments):
    return brats2023.main(["-i", str(raw), "-d", "503", "-np", "1", *arguments])


@pytest.fixture
def write_challenge(tmp_path, write_case_since_2023):
    """Function that writes the cases of a challenge below ``tmp_path/raw``."""

    def write(challenge):
        folders, labels, _ = CHALLENGES[challenge]
        for index, folder in enumerate(folders, start=1):
            write_case_since_2023(tmp_path / "raw" / folder, index, labels=labels)
        return tmp_path / "raw"

    return write


class TestEachChallenge:
    @pytest.mark.parametrize("challenge", CHALLENGES)
    def test_voxels_grid_and_labels_arrive(self, challenge, write_challenge, nnunet_raw, capsys):
        folders, labels, order = CHALLENGES[challenge]
        assert _convert(write_challenge(challenge)) == 0
        assert f"Challenge: {challenge} (by the names" in capsys.readouterr().out
        dataset = nnunet_raw / "Dataset503_BraTS2023"
        for index, folder in enumerate(folders, start=1):
            name, source = folder.rpartition("/")[2], make_phantom(index, size=24, seed=5)
            for channel, modality in enumerate(("t1", "t1ce", "t2", "flair")):
                image = nibabel.load(dataset / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
                np.testing.assert_array_equal(np.asanyarray(image.dataobj), source[modality])
                np.testing.assert_array_equal(image.affine, source["affine"])
            label = np.asanyarray(nibabel.load(dataset / "labelsTr" / f"{name}.nii.gz").dataobj)
            np.testing.assert_array_equal(label, np.select([source["seg"] == raw for raw in (1, 2, 4)], labels))
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["regions_class_order"] == (order or [2, 1, 3, 4])

    @pytest.mark.parametrize("challenge", CHALLENGES)
    @pytest.mark.parametrize("plain", [False, True])
    def test_nnunet_reads_what_the_labels_are(self, challenge, plain, write_challenge, nnunet_raw, monkeypatch):
        threads_for_processes(monkeypatch)
        assert _convert(write_challenge(challenge), *(["--labels"] if plain else [])) == 0
        dataset = nnunet_raw / "Dataset503_BraTS2023"
        verify_dataset_integrity(str(dataset), num_processes=1)
        content = json.loads((dataset / "dataset.json").read_text())
        plans = PlansManager({"label_manager": "LabelManager", "configurations": {}})
        manager = plans.get_label_manager(content)
        assert manager.has_regions == (not plain)
        if not plain:  # the regions of a voxel tell its label again, whichever it is
            values = np.array(sorted(set(content["label_mapping"].values()))).reshape(1, 1, -1)
            regions = [np.isin(values, np.atleast_1d(value)) for value in list(content["labels"].values())[1:]]
            back = manager.convert_probabilities_to_segmentation(np.stack(regions).astype(np.float32))
            np.testing.assert_array_equal(back, values)

    def test_scans_of_one_patient(self, write_challenge, nnunet_raw):
        assert _convert(write_challenge("gli-2024")) == 0
        rows = list(csv.DictReader((nnunet_raw / "Dataset503_BraTS2023" / "cases.csv").open()))
        assert [row["case"] for row in rows] == ["BraTS-GLI-02143-100", "BraTS-GLI-02143-102"]
        assert {row["patient"] for row in rows} == {"BraTS-GLI-02143"}

    def test_resection_cavity_is_no_tumour(self, write_challenge, nnunet_raw):
        assert _convert(write_challenge("gli-2024")) == 0
        content = json.loads((nnunet_raw / "Dataset503_BraTS2023" / "dataset.json").read_text())
        assert content["labels"]["whole_tumor"] == [1, 2, 3]
        assert content["labels"]["resection_cavity"] == 4

    def test_gaps_are_recorded(self, tmp_path, write_case_since_2023, nnunet_raw):
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00000-000", 1)
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00002-000", 2, without=("t1n", "t2f"))
        assert _convert(tmp_path / "raw") == 0
        content = json.loads((nnunet_raw / "Dataset503_BraTS2023" / "dataset.json").read_text())
        assert content["missing_modalities"] == {"BraTS-GLI-00002-000": ["T1", "FLAIR"]}


class TestChoiceOfTheChallenge:
    def test_pediatric_year_must_be_said_where_the_names_do_not(
        self, tmp_path, write_case_since_2023, nnunet_raw, capsys
    ):
        write_case_since_2023(tmp_path / "raw/BraTS-PED-00002-000", labels=(3, 4, 1))
        assert _convert(tmp_path / "raw") == 1
        assert "--challenge ped-2023 or ped-2024" in capsys.readouterr().err
        assert _convert(tmp_path / "raw", "--challenge", "ped-2024") == 0
        assert "ped-2024 (as asked for)" in capsys.readouterr().out

    def test_labels_of_the_other_pediatric_year(self, tmp_path, write_case_since_2023, nnunet_raw, capsys):
        write_case_since_2023(tmp_path / "raw/BraTS-PED-00002-000", labels=(3, 4, 1))
        assert _convert(tmp_path / "raw", "--challenge", "ped-2023") == 1
        assert "expected only 0, 1, 2, 3. 4 is oedema of 2024" in capsys.readouterr().err

    def test_challenge_that_contradicts_the_names(self, write_challenge, nnunet_raw, capsys):
        assert _convert(write_challenge("men"), "--challenge", "met") == 1
        assert "--challenge met: the cases in" in capsys.readouterr().err

    def test_labels_of_another_year_are_refused(self, tmp_path, write_case_since_2023, nnunet_raw, capsys):
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00000-000", labels=(1, 2, 4))
        assert _convert(tmp_path / "raw") == 1
        assert "has the labels 0, 1, 2, 4; expected only 0, 1, 2, 3. Glioma of 2023" in capsys.readouterr().err


class TestOtherReleases:
    def test_mixed_years_are_listed(
        self, tmp_path, write_case, write_case_since_2023, write_vsd_case, nnunet_raw, capsys
    ):
        write_case(tmp_path / "raw/BraTS2021_00000")
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00000-000")
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00000-100")
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1")
        for module in (brats, brats2023):
            assert module.main(["-i", str(tmp_path / "raw"), "-d", "503"]) == 1
            error = capsys.readouterr().err
            assert (
                "1 of BraTS 2015, 1 of BraTS 2021, 1 of BraTS 2023 glioma, 1 of BraTS 2024 post-treatment glioma cases"
                in error
            )
        assert list(nnunet_raw.iterdir()) == []

    def test_the_right_converter_is_named(self, tmp_path, write_case_since_2023, nnunet_raw, capsys):
        write_case_since_2023(tmp_path / "raw/BraTS-GLI-00000-000")
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "503"]) == 1
        assert "holds BraTS 2023 glioma. Convert it by: nnunet_hetero convert brats2023" in capsys.readouterr().err

    def test_radiotherapy_has_one_modality(self, tmp_path, nnunet_raw, capsys):
        case = tmp_path / "raw/BraTS-MEN-RT-0002-1"
        case.mkdir(parents=True)
        (case / "BraTS-MEN-RT-0002-1_t1c.nii.gz").write_bytes(b"")
        assert _convert(tmp_path / "raw") == 1
        assert "BraTS 2024 meningioma radiotherapy, which has one modality only" in capsys.readouterr().err
