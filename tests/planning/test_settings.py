"""`nnunet_hetero plan`: plans with other settings, checked, beside those of nnU-Net."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.tiny_model import CHANNELS, CONFIGURATION, DATASET, tiny_dataset_json, tiny_plans, write_json
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cli.main import main
from nnunet_hetero.config import KEY

CASCADE = {"inherits_from": CONFIGURATION, "previous_stage": "3d_lowres"}
CASES = {"a": (0, 1, 2, 3), "b": (0, 1, 2, 3), "c": (0, 3), "d": (3,)}
"""What the preprocessed cases have."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset in ``nnUNet_preprocessed``: plans with a cascade, and four cases."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name / DATASET).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / name))
    folder = tmp_path / "nnUNet_preprocessed" / DATASET
    plans = tiny_plans()
    plans["configurations"]["3d_cascade_fullres"] = CASCADE
    plans["configurations"]["3d_bs4"] = {"inherits_from": CONFIGURATION, "batch_size": 4}
    write_json(folder / "nnUNetPlans.json", plans)
    write_json(folder / "dataset.json", tiny_dataset_json())
    images = folder / "nnUNetPlans_3d_fullres"
    images.mkdir()
    for case, subset in CASES.items():
        data = np.zeros((4, 6, 6, 6), np.float32)
        data[list(subset)] = 1
        sizes = {"chunks": data.shape, "blocks": data.shape, "chunks_seg": (1, 6, 6, 6), "blocks_seg": (1, 6, 6, 6)}
        nnUNetDatasetBlosc2.save_case(data, np.zeros((1, 6, 6, 6), np.int16), {}, str(images / case), **sizes)
    return folder


def plan(*arguments: str) -> int:
    return main(["plan", "-d", "501", "--out_plans", "Mine", *arguments])


def settings(folder, configuration: str = CONFIGURATION, name: str = "Mine") -> dict:
    plans = json.loads((folder / f"{name}.json").read_text())
    assert plans["plans_name"] == name
    return PlansManager(plans).get_configuration(configuration).configuration.get(KEY)


def table(tmp_path, *rows: str, header: str = "subset,weight"):
    file = tmp_path / "table.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(file)


class TestDraws:
    def test_table(self, folder, tmp_path, capsys):
        assert plan("--alpha", table(tmp_path, "flair + T1,3", "T1c, 1", "", "T2,0")) == 0
        assert settings(folder) == {"alpha": {"T1+FLAIR": 3, "T1c": 1, "T2": 0}, "presence": None}
        printed = capsys.readouterr().out
        assert "T1+FLAIR          75.0 %" in printed and "T1c               25.0 %" in printed
        assert "Each modality: T1 75.0 %, T1c 25.0 %, T2 0.0 %, FLAIR 75.0 %" in printed
        assert "Train with: nnunet_hetero train 501 3d_fullres|3d_bs4 FOLD -p Mine" in printed

    def test_cohort(self, folder, capsys):
        assert plan("--alpha", "cohort", "-c", CONFIGURATION) == 0
        assert settings(folder)["alpha"] == "cohort"
        printed = capsys.readouterr().out
        assert "T1+T1c+T2+FLAIR   50.0 %" in printed and "T1+FLAIR          25.0 %" in printed

    def test_cohort_that_is_not_preprocessed(self, folder, capsys):
        plans = json.loads((folder / "nnUNetPlans.json").read_text())
        plans["configurations"][CONFIGURATION]["data_identifier"] = "elsewhere"
        write_json(folder / "nnUNetPlans.json", plans)
        assert plan("--alpha", "cohort", "-c", CONFIGURATION) == 0
        assert "they are known after nnUNetv2_preprocess" in capsys.readouterr().out

    def test_presence(self, folder, capsys):
        assert plan("--presence", "T1=0.5", "T1c=0", "T2=0", "FLAIR=0.5") == 0
        assert settings(folder) == {"alpha": None, "presence": {"T1": 0.5, "T1c": 0, "T2": 0, "FLAIR": 0.5}}
        assert "T1+FLAIR          33.3 %" in capsys.readouterr().out

    def test_back_to_the_paper(self, folder):
        plans = json.loads((folder / "nnUNetPlans.json").read_text())
        plans["configurations"][CONFIGURATION][KEY] = {"presence": dict.fromkeys(CHANNELS, 0.5), "kl_weight": 0.2}
        write_json(folder / "nnUNetPlans.json", plans)
        assert plan("--alpha", "paper") == 0
        assert settings(folder) == {"alpha": None, "presence": None, "kl_weight": 0.2}


class TestOtherSettings:
    def test_values_are_json_or_text(self, folder):
        given = ("num_epochs=5", "optimizer=AdamW", "balance_modalities=true", "seed=null")
        assert plan("--set", *given[:2], "--set", *given[2:]) == 0
        expected = {"num_epochs": 5, "optimizer": "AdamW", "balance_modalities": True, "seed": None}
        assert settings(folder) == expected

    def test_preprocessed_data_is_shared_and_the_rest_stays(self, folder):
        plan("--set", "num_epochs=5", "-c", "3d_bs4")
        before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("nnUNetPlans", "Mine"))
        assert settings(folder) is None and settings(folder, "3d_bs4") == {"num_epochs": 5}
        changed = after["configurations"].pop("3d_bs4")
        assert changed["data_identifier"] == "nnUNetPlans_3d_fullres" and changed["batch_size"] == 4
        assert after["configurations"].pop("3d_cascade_fullres") == CASCADE
        for key in ("plans_name", "derived_from"):
            after.pop(key)
        before.pop("plans_name")
        for name in ("3d_bs4", "3d_cascade_fullres"):
            before["configurations"].pop(name)
        assert after == before

    def test_all_but_cascades_by_default(self, folder, capsys):
        plan("--set", "num_epochs=5")
        assert settings(folder) == settings(folder, "3d_bs4") == {"num_epochs": 5}
        assert "Mine, from nnUNetPlans: 3d_fullres, 3d_bs4" in capsys.readouterr().out


class TestRefuses:
    """Nothing is written, and the error says what to do."""

    def refused(self, folder, capsys, *arguments) -> str:
        before = {file.name: file.read_bytes() for file in folder.glob("*.json")}
        assert plan(*arguments) == 1
        assert {file.name: file.read_bytes() for file in folder.glob("*.json")} == before
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        return error

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (["T1,1", "T1+CT,1"], "row 3: Unknown modality 'CT'. This dataset has: T1 (0), T1c (1)"),
            (["T1+FLAIR,1", "T2,1", "flair+t1,2"], "row 4: subset 'T1+FLAIR' stands already in row 2"),
            (["T1,much"], "row 2: the weight is 'much'; it must be a number"),
            (["T1,nan"], "row 2: the weight is 'nan'"),
            (["T1,-1"], "row 2: the weight is -1; it must be 0 or more"),
            (["T1"], "row 2: 1 cell(s), expected 2"),
            ([",1"], "row 2: the subset is empty"),
            (["T1+T1,1"], "row 2: the subset: modality 'T1' is named more than once"),
            (["T1,0"], "no subset has a positive weight"),
            ([], "no subset has a positive weight"),
        ],
    )
    def test_rows_of_a_table(self, folder, tmp_path, capsys, rows, message):
        assert message in self.refused(folder, capsys, "--alpha", table(tmp_path, *rows))

    @pytest.mark.parametrize("header", ["T1+FLAIR,1", "subset;weight", "name,weight"])
    def test_header(self, folder, tmp_path, capsys, header):
        error = self.refused(folder, capsys, "--alpha", table(tmp_path, "T1,1", header=header))
        assert "table.csv, row 1: the columns are" in error and "expected subset, weight" in error

    def test_no_text(self, folder, tmp_path, capsys):
        (tmp_path / "table.csv").write_bytes(b"subset,weight\n\xff\xfe,1\n")
        assert "is no CSV table" in self.refused(folder, capsys, "--alpha", str(tmp_path / "table.csv"))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "planned from the raw dataset and nnU-Net's fingerprint"),
            (["--alpha", "uniform"], "--alpha uniform: there is no such file. Give a CSV file, 'paper' or 'cohort'"),
            (["--alpha", "paper", "--presence", "T1=1"], "each a draw of its own"),
            (["--presence", "T1=0.5"], "presence has no probability for T1c, T2, FLAIR"),
            (["--presence", "T1=0.5", "CT=1"], "Unknown modality 'CT'"),
            (["--presence", "T1=2", "T1c=1", "T2=1", "FLAIR=1"], "it must be a number from 0 to 1"),
            (["--presence", "T1"], "--presence T1: expected NAME=VALUE"),
            (["--presence", "T1=1", "T1=1"], "--presence names 'T1' more than once"),
            (["--set", "epochs=3"], "Unknown setting(s) ['epochs']"),
            (["--set", "num_epochs=many"], "num_epochs is 'many'"),
            (["--set", "num_epochs"], "--set num_epochs: expected NAME=VALUE"),
            (["--set", "num_epochs=1", "num_epochs=2"], "--set names 'num_epochs' more than once"),
            (["--set", "seed=1", "-c", "3d_cascade_fullres"], "second stage of a cascade (after '3d_lowres')"),
            (["--set", "seed=1", "-c", "2d"], "have no configuration '2d'. They have: 3d_fullres"),
            (["--set", "seed=1", "-p", "nnUNetResEncUNetLPlans"], "There are: nnUNetPlans"),
            (["--set", "seed=1", "-p", "dataset"], "Expected: plans of nnU-Net. Name others with -p"),
            (["--set", "seed=1", "--out_plans", "nnUNetPlans"], "which are the plans to start from"),
            (["--set", "seed=1", "--out_plans", "my__plans"], "'my__plans' cannot name plans"),
            (["--set", "seed=1", "--out_plans", "../Mine"], "'../Mine' cannot name plans"),
            (["--set", "seed=1", "--out_plans", "dataset"], "was not written by nnunet_hetero"),
            (["--set", "seed=1", "-d", "77"], "77"),
        ],
    )
    def test_arguments(self, folder, capsys, arguments, message):
        assert message in self.refused(folder, capsys, *arguments)

    def test_not_planned_yet(self, folder, capsys):
        (folder / "nnUNetPlans.json").unlink()
        assert "nnUNetv2_plan_and_preprocess -d 501" in self.refused(folder, capsys, "--set", "seed=1")

    def test_plans_of_others_and_our_own(self, folder, capsys):
        write_json(folder / "Mine.json", {**tiny_plans(), "plans_name": "Mine"})
        assert "was not written by nnunet_hetero" in self.refused(folder, capsys, "--set", "seed=1", "--overwrite")
        (folder / "Mine.json").unlink()
        assert plan("--set", "seed=1") == plan("--set", "seed=1") == 0
        assert "replace it with --overwrite" in self.refused(folder, capsys, "--set", "seed=2")
        assert plan("--set", "seed=2", "--overwrite") == 0
        assert settings(folder) == {"seed": 2}
