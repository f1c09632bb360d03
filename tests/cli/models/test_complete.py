"""``nnunet_hetero complete`` on a tiny model with random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.kept import KEPT
from helpers.tiny_model import read_array, write_case, write_image, write_tiny_model

from nnunet_hetero.cli.main import main
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

MODEL = ("-d", "501", "-c", "3d_fullres", "-f", "0")
QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "--num_samples", "2")


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    """Case `a` with T1 and T2."""
    write_case(tmp_path / "images", "a", present=(0, 2))
    return tmp_path


def complete(folders, *flags, model=MODEL) -> int:
    return main(["complete", "-i", str(folders / "images"), "-o", str(folders / "out"), *model, *QUICK, *flags])


def names(folders) -> list[str]:
    return sorted(str(file.relative_to(folders / "out")) for file in (folders / "out").rglob("*.*") if file.is_file())


class TestFiles:
    def test_the_same_as_prediction_writes_and_nothing_else(self, tiny_model, folders):
        write_case(folders / "images", "b")
        assert complete(folders) == 0
        assert [name for name in names(folders) if "lock" not in name] == [
            "completed/a_0001.json",
            "completed/a_0001.nii.gz",
            "completed/a_0003.json",
            "completed/a_0003.nii.gz",
            "modalities.json",
            "run.json",
        ]
        options = PredictionOptions(sampling=SamplingOptions(2, save_completed="missing"))
        predictor = HeteroModalPredictor.from_model_folder(
            tiny_model.folder, 0, "cpu", options=options, use_mirroring=False
        )
        predictor.predict_from_files_sequential(str(folders / "images"), str(folders / "predicted"))
        for name in ("completed/a_0001", "completed/a_0003"):
            assert (
                read_array(folders / "out" / f"{name}.nii.gz") == read_array(folders / "predicted" / f"{name}.nii.gz")
            ).all()
            assert (folders / "out" / f"{name}.json").read_text() == (
                folders / "predicted" / f"{name}.json"
            ).read_text()

    def test_all_and_switched_off_from_the_folder_of_a_model(self, tiny_model, folders):
        flags = ["--save_completed", "all", "--missing", "t2"]
        assert complete(folders, *flags, model=("-m", str(tiny_model.folder), "-f", "0")) == 0
        entry = json.loads((folders / "out" / "completed" / "a_0002.json").read_text())
        assert entry["from"] == ["T1"] and entry["kind"].startswith("completed")
        assert len(list((folders / "out" / "completed").glob("*.nii.gz"))) == 4

    def test_continuation(self, folders, capsys):
        complete(folders)
        (folders / "out" / "completed" / "a_0001.nii.gz").write_bytes(KEPT)
        write_case(folders / "images", "b", present=(0,))
        assert complete(folders, "--continue_prediction") == 0
        assert "2 case(s), 1 of them are completed already." in capsys.readouterr().out
        assert (folders / "out" / "completed" / "a_0001.nii.gz").read_bytes() == KEPT
        assert (folders / "out" / "completed" / "b_0003.nii.gz").is_file()


class TestErrors:
    def test_a_bad_case_does_not_stop_the_others(self, folders):
        write_image(folders / "images" / "b_0000.nii.gz", np.full((8, 8, 8), np.nan, np.float32))
        assert complete(folders) == 1
        assert (folders / "out" / "completed" / "a_0003.nii.gz").is_file()
        assert "NaN" in json.loads((folders / "out" / "failed.json").read_text())["b"]["reason"]

    @pytest.mark.parametrize(
        ("model", "message"),
        [((), "Which model?"), (("-d", "501"), "Which model?"), (("-m", "nowhere"), "no trained model at nowhere")],
    )
    def test_which_model(self, folders, model, message, capsys):
        assert complete(folders, model=model) == 1
        assert message in capsys.readouterr().err

    def test_model_without_image_decoders(self, folders, capsys):
        model = write_tiny_model(folders / "model", settings={"image_decoders": False})
        assert complete(folders, model=("-m", str(model.folder))) == 1
        assert "trained without image decoders" in capsys.readouterr().err

    def test_negative_number_of_samples(self, folders, capsys):
        with pytest.raises(SystemExit) as end:
            complete(folders, "--num_samples", "-1")
        assert end.value.code == 2
        assert "--num_samples: '-1' is no whole number, 0 or more" in capsys.readouterr().err
