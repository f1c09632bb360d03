"""The real `nnUNetv2_predict` in an activated environment, as a user types it."""

from __future__ import annotations

import json
import shutil

from helpers.project.environments import copy_sources, install, make_environment

from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER


def test_predict_with_a_missing_modality(tiny_model, tmp_path):
    environment = make_environment(tmp_path / "venv")
    install(environment, copy_sources(tmp_path / "sources"), "uv pip", editable=False)
    environment.add_command("nnUNetv2_predict", "nnunetv2.inference.predict_from_raw_data", "predict_entry_point")
    environment.must_run("nnunet_hetero", "activate")

    images = tmp_path / "images"
    images.mkdir()
    for path in tiny_model.images.glob("case_00_*"):
        shutil.copy(path, images)

    # With worker processes: they start the interpreter anew, hook and all.
    command = ["nnUNetv2_predict", "-f", "0", "--missing", "t1C", "-i", images, "-o", tmp_path / "out"]
    command += ["-d", "501", "-c", "3d_fullres", "-device", "cpu", "-npp", "1", "-nps", "1", "--disable_tta"]
    done = environment.run(*command, "-tr", DEFAULT_TRAINER, **tiny_model.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "case_00.nii.gz").is_file()
    (case,) = json.loads((tmp_path / "out" / "modalities.json").read_text()).values()
    assert case["absent"] == {"T1c": "switched off"}
