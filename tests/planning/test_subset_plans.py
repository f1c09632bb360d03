"""Plans for one network per subset: names, content, and the command that writes them."""

from __future__ import annotations

import json

import pytest

from nnunet_hetero.cli.main import main
from nnunet_hetero.config import KEY
from nnunet_hetero.modalities import Modalities, all_subsets
from nnunet_hetero.planning.subset_plans import subset_name


class TestNames:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("T1", "T1c", "FLAIR"), "T1_T1c_FLAIR"),
            (("T1+Gd", "ADC map", "b=1000"), "T1-Gd_ADC-map_b-1000"),
            (("a b", "a-b", "A_B"), "a-b-0_a-b-1_A-B-2"),
            (("T2", "δ", "?"), "T2_1_2"),
        ],
    )
    def test_safe_in_file_names_and_apart(self, names, expected):
        modalities = Modalities(names)
        assert subset_name(modalities, (0, 1, 2)) == expected
        found = {subset_name(modalities, subset).lower() for subset in all_subsets(3)}
        assert len(found) == 7


class TestCommand:
    @pytest.fixture
    def folder(self, nnunet_folders, tmp_path, monkeypatch):
        """The tiny dataset's folder of plans, copied."""
        source = nnunet_folders.preprocessed / nnunet_folders.dataset
        target = tmp_path / "preprocessed" / nnunet_folders.dataset
        target.mkdir(parents=True)
        for name in ("nnUNetPlans.json", "dataset.json"):
            (target / name).write_bytes((source / name).read_bytes())
        monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
        return target

    def plans(self, folder, name) -> dict:
        return json.loads((folder / f"{name}.json").read_text())

    def test_fifteen_plans_on_the_same_data(self, folder, capsys):
        assert main(["plan-subsets", "-d", "501"]) == 0
        names = capsys.readouterr().out.split()
        assert len(names) == len(set(names)) == 15
        assert names[0] == "nnUNetPlans_T1" and names[-1] == "nnUNetPlans_T1_T1c_T2_FLAIR"
        original = self.plans(folder, "nnUNetPlans")["configurations"]["3d_fullres"]
        for name in names:
            plans = self.plans(folder, name)
            configuration = plans["configurations"]["3d_fullres"]
            assert plans["plans_name"] == name
            assert configuration["data_identifier"] == original["data_identifier"]
            assert configuration[KEY]["subset"] == name.split("_")[1:]
            assert {**configuration, KEY: original.get(KEY)} == {**original, KEY: original.get(KEY)}

    def test_other_settings_are_kept(self, folder):
        plans = self.plans(folder, "nnUNetPlans")
        plans["configurations"]["3d_fullres"][KEY] = {"num_epochs": 7}
        (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
        assert main(["plan-subsets", "-d", "501", "--subsets", "FLAIR+T1"]) == 0
        assert sorted(file.name for file in folder.glob("*_*.json")) == ["nnUNetPlans_T1_FLAIR.json"]
        settings = self.plans(folder, "nnUNetPlans_T1_FLAIR")["configurations"]["3d_fullres"][KEY]
        assert settings == {"num_epochs": 7, "subset": ["T1", "FLAIR"]}

    def test_again_and_with_other_content(self, folder, capsys):
        flags = ["plan-subsets", "-d", "501", "--subsets", "T1"]
        assert main(flags) == main(flags) == 0
        plans = self.plans(folder, "nnUNetPlans")
        plans["configurations"]["3d_fullres"][KEY] = {"num_epochs": 7}
        (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
        assert main(flags) == 1
        assert "--overwrite" in capsys.readouterr().err
        assert main([*flags, "--overwrite"]) == 0

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["-p", "nowhere"], "no plans 'nowhere'"),
            (["-c", "3d_lowres"], "no configuration '3d_lowres'"),
            (["--subsets", "T1+CT"], "Unknown modality 'CT'"),
        ],
    )
    def test_bad_flags(self, folder, capsys, flags, message):
        assert main(["plan-subsets", "-d", "501", *flags]) == 1
        assert message in capsys.readouterr().err
        assert not list(folder.glob("nnUNetPlans_*.json"))
