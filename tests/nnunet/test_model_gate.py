"""The gate for a model's files."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from helpers.tiny_model import tiny_dataset_json, tiny_plans

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.model_gate import (
    read_model_dataset_json,
    read_model_plans,
    require_harmless_model,
    require_plain_dataset_json,
    require_plain_plans,
)


class CreatesFile:
    """What an attacker puts into a checkpoint: loading it runs a command."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


class TestPlans:
    def test_those_of_nnunet(self):
        require_plain_plans(tiny_plans(), "plans.json")

    @pytest.mark.parametrize("name", ["subprocess.Popen", "torch.nn.functional.os.system", "torch.nn.functional.relu"])
    def test_anything_but_a_layer_is_refused(self, name):
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["nonlin"] = name
        with pytest.raises(SettingsError, match=f"'{name}' as nonlin of the configuration 3d_fullres.*--trust"):
            require_plain_plans(plans, "plans.json")

    def test_anything_but_a_network_is_refused(self):
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "torch.hub.load"
        with pytest.raises(SettingsError, match=r"'torch\.hub\.load' as network_class_name.*no network of"):
            require_plain_plans(plans, "plans.json")

    @pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "a\\b", "..", "a\0b"])
    def test_names_that_lead_to_other_folders_are_refused(self, name):
        for key in ("plans_name", "dataset_name"):
            with pytest.raises(SettingsError, match=f"as {key}, which becomes part of a file's name"):
                require_plain_plans({**tiny_plans(), key: name}, "plans.json")
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"]["data_identifier"] = name
        with pytest.raises(SettingsError, match="as data_identifier"):
            require_plain_plans(plans, "plans.json")

    @pytest.mark.parametrize("content", ["", "[]", "{", '{"configurations": []}', '{"configurations": {"a": 1}}'])
    def test_broken_ones_are_no_traceback(self, tmp_path, content):
        (tmp_path / "plans.json").write_text(content)
        with pytest.raises(SettingsError, match=r"plans\.json .*Expected: the plans of a model"):
            read_model_plans(tmp_path / "plans.json")


class TestDatasetJson:
    def test_that_of_nnunet(self):
        require_plain_dataset_json(tiny_dataset_json(), "dataset.json")
        require_plain_dataset_json({**tiny_dataset_json(), "overwrite_image_reader_writer": "None"}, "dataset.json")

    @pytest.mark.parametrize(
        ("key", "name"),
        [("overwrite_image_reader_writer", "os"), ("file_ending", "/../../.profile"), ("file_ending", "..")],
    )
    def test_refused(self, key, name, tmp_path):
        (tmp_path / "dataset.json").write_text(json.dumps({**tiny_dataset_json(), key: name}))
        with pytest.raises(SettingsError, match=key):
            read_model_dataset_json(tmp_path / "dataset.json")
        assert read_model_dataset_json(tmp_path / "dataset.json", trusted=True)[key] == name


class TestModel:
    @pytest.fixture
    def model(self, tiny_model, tmp_path):
        return shutil.copytree(tiny_model.folder, tmp_path / "model")

    def test_passes(self, model):
        require_harmless_model(model, sorted(model.glob("fold_*/*.pth")))
        require_harmless_model(model / "nowhere", [])

    def test_checkpoint_with_code(self, model, tmp_path):
        file = model / "fold_1" / "checkpoint_final.pth"
        torch.save({**torch.load(file, weights_only=False), "extra": CreatesFile(tmp_path / "trap")}, file)
        require_harmless_model(model, [model / "fold_0" / "checkpoint_final.pth"])
        with pytest.raises(SettingsError, match="fold_1"):
            require_harmless_model(model, sorted(model.glob("fold_*/*.pth")))
        assert not (tmp_path / "trap").exists()
        require_harmless_model(model, [file], trusted=True)

    @pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
    def test_broken_files(self, model, name):
        (model / name).write_text("[")
        with pytest.raises(SettingsError, match=name):
            require_harmless_model(model, [])
