"""The real `nnUNetv2_predict` in an activated environment, as a user types it."""

from __future__ import annotations

import json

import pytest
from helpers.environments import copy_sources, install, make_environment

from nnunet_hetero.integration.environment import DEFAULT_TRAINER


@pytest.mark.slow
def test_predict_with_a_missing_modality(tiny_model, tmp_path):
    environment = make_environment(tmp_path / "venv")
    install(environment, copy_sources(tmp_path / "sources"), "uv pip", editable=False)
    environment.add_command("nnUNetv2_predict", "nnunetv2.inference.predict_from_raw_data", "predict_entry_point")
    environment.must_run("nnunet_hetero", "activate")

    # With worker processes: they start the interpreter anew, hook and all.
    command = ["nnUNetv2_predict", "-f", "0", "1", "--missing", "t1C", "-i", tiny_model.images, "-o", tmp_path / "out"]
    command += ["-d", "501", "-c", "3d_fullres", "-device", "cpu", "-npp", "1", "-nps", "1", "--disable_tta"]
    done = environment.run(*command, "-tr", DEFAULT_TRAINER, **tiny_model.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    predicted = {path.name for path in (tmp_path / "out").glob("*.nii.gz")}
    assert predicted == {path.name for path in tiny_model.labels.glob("*.nii.gz")}
    cases = json.loads((tmp_path / "out" / "modalities.json").read_text())
    assert {f"{case}.nii.gz" for case in cases} == predicted
    assert all(case["absent"]["T1c"] == "switched off" for case in cases.values())
