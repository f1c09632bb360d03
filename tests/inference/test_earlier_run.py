"""A second run into the same folder: what goes, what is kept, and why a case is done again."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from helpers.kept import KEPT
from helpers.tiny_model import write_case

from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.turns import is_of_turns

EVERYTHING = SamplingOptions(num_samples=2, save_completed="all", save_uncertainty=True)
PLAIN = SamplingOptions(num_samples=0)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def predictor(tiny_model):
    def make(sampling: SamplingOptions = PLAIN, **options) -> HeteroModalPredictor:
        found = HeteroModalPredictor(
            options=PredictionOptions(sampling=sampling, **options), use_mirroring=False, device=torch.device("cpu")
        )
        found.allow_tqdm = False
        found.initialize_from_trained_model_folder(str(tiny_model.folder), (0,))
        return found

    return make


def predict(predictor, images, output, probabilities=False, overwrite=True) -> None:
    predictor.predict_from_files(str(images), str(output), probabilities, overwrite, 0, 0)


def files_of(folder) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


class TestEverythingGoes:
    def test_outputs_that_are_not_asked_for_any_more(self, predictor, images, tmp_path):
        predict(predictor(EVERYTHING), images, tmp_path / "out", probabilities=True)
        kept = [name for name in files_of(tmp_path / "out") if "a_b" in name]
        (images / "a_b_0001.nii.gz").unlink()
        predict(predictor(), images, tmp_path / "out")
        predict(predictor(), images, tmp_path / "plain")
        assert files_of(tmp_path / "out") == sorted(
            {*files_of(tmp_path / "plain"), *kept, "volumes.csv", "uncertainty/uncertainty.csv"}
        )
        for table in ("volumes.csv", "uncertainty/uncertainty.csv"):
            lines = (tmp_path / "out" / table).read_text().splitlines()
            assert [line.split(",")[0] for line in lines] == ["case", "a_b"]

    def test_a_second_run_that_fails_leaves_nothing(self, predictor, images, tmp_path):
        predict(predictor(EVERYTHING), images, tmp_path / "out", probabilities=True)
        (images / "a_0000.nii.gz").write_bytes(b"no image")
        predict(predictor(EVERYTHING), images, tmp_path / "out", probabilities=True)
        names = [os.path.basename(name) for name in files_of(tmp_path / "out")]
        assert not [name for name in names if name.startswith(("a.", "a_0", "a_e", "a_m"))]
        for record in ("modalities.json", "volumes.csv", "uncertainty/uncertainty.csv"):
            text = (tmp_path / "out" / record).read_text()
            assert "a_b" in text and '"a"' not in text and "\na," not in text
        assert list(json.loads((tmp_path / "out" / "run.json").read_text())["cases"]) == ["a_b"]
        assert list(json.loads((tmp_path / "out" / "failed.json").read_text())) == ["a"]

    def test_pages_of_it_too(self, predictor, images, tmp_path):
        predict(predictor(), images, tmp_path / "out")
        pages = tmp_path / "out" / "view"
        pages.mkdir()
        for name in ("a.html", "c.html", "index.html"):
            (pages / name).touch()
        predict(predictor(), images, tmp_path / "out")
        assert [file.name for file in pages.iterdir()] == ["c.html"]

    def test_before_anything_is_computed(self, predictor, images, tmp_path, monkeypatch):
        predict(predictor(EVERYTHING), images, tmp_path / "out", probabilities=True)
        second = predictor(EVERYTHING)
        seen = []
        monkeypatch.setattr(second, "predict_case", lambda *_: seen.append(files_of(tmp_path / "out")) or 1 / 0)
        with pytest.raises(Exception, match="could be predicted"):
            predict(second, images, tmp_path / "out", probabilities=True)
        tables = {"volumes.csv", "uncertainty/uncertainty.csv", "run.json"}
        found = {name for name in seen[0] if not is_of_turns(name)}
        assert found - tables == {"dataset.json", "plans.json", "predict_from_raw_data_args.json"}

    def test_files_of_the_user_stay(self, predictor, images, tmp_path):
        predict(predictor(), images, tmp_path / "out")
        for name in ("notes.txt", "a.png", "c.nii.gz", "completed/notes.json", "completed/c_0001.nii.gz"):
            (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "out" / name).touch()
        before = files_of(tmp_path / "out")
        predict(predictor(), images, tmp_path / "out")
        assert files_of(tmp_path / "out") == before


class TestContinue:
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda images: write_case(images, "a", present=(1,)), "T1c is new"),
            (lambda images: (images / "a_0002.nii.gz").unlink(), "T2 is gone"),
            (lambda images: shutil.copy(images / "a_b_0001.nii.gz", images / "a_0002.nii.gz"), "T2 has changed"),
            (lambda images: os.utime(images / "a_0002.nii.gz", (1, 1)), "T2 has changed"),
        ],
    )
    def test_other_files(self, change, says, predictor, images, tmp_path, capsys):
        predict(predictor(), images, tmp_path / "out")
        (tmp_path / "out" / "a_b.nii.gz").write_bytes(KEPT)
        change(images)
        predict(predictor(), images, tmp_path / "out", overwrite=False)
        printed = capsys.readouterr().out
        assert "1 case(s) that an earlier run finished are done again, such as a:" in printed and says in printed
        assert (tmp_path / "out" / "a_b.nii.gz").read_bytes() == KEPT
        predict(predictor(), images, tmp_path / "whole")
        assert (tmp_path / "out" / "a.nii.gz").read_bytes() == (tmp_path / "whole" / "a.nii.gz").read_bytes()
        records = [json.loads((tmp_path / name / "modalities.json").read_text())["a"] for name in ("out", "whole")]
        assert records[0] == records[1]

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"sampling": SamplingOptions(num_samples=1)}, ""),  # no row of volumes either
            ({"sampling": SamplingOptions(num_samples=0, seed=3)}, "seed is 3, it was 0"),
            ({"available": ("T1", "T1c")}, "modalities is"),
        ],
    )
    def test_other_settings(self, options, says, predictor, images, tmp_path, capsys):
        predict(predictor(), images, tmp_path / "out")
        predict(predictor(**options), images, tmp_path / "out", overwrite=False)
        printed = capsys.readouterr().out
        assert "0 of them are predicted already" in printed and says in printed

    def test_another_model(self, predictor, images, tmp_path, capsys):
        predict(predictor(), images, tmp_path / "out")
        other = predictor()
        with torch.no_grad():
            next(iter(other.list_of_parameters[0].values())).add_(1)
        predict(other, images, tmp_path / "out", overwrite=False)
        assert "weights is" in capsys.readouterr().out

    def test_damaged_since(self, predictor, images, tmp_path, capsys):
        predict(predictor(), images, tmp_path / "out")
        file = tmp_path / "out" / "a.nii.gz"
        whole = file.read_bytes()
        file.write_bytes(whole[:-20])
        predict(predictor(), images, tmp_path / "out", overwrite=False)
        printed = capsys.readouterr().out
        assert "such as a: " in printed and "a.nii.gz is damaged" in printed and "1 of them are predicted" in printed
        assert file.read_bytes() == whole

    @pytest.mark.parametrize("table", ["volumes.csv", "uncertainty/uncertainty.csv"])
    def test_a_row_that_is_gone(self, table, predictor, images, tmp_path, capsys):
        sampling = SamplingOptions(num_samples=1, save_uncertainty=True)
        predict(predictor(sampling), images, tmp_path / "out")
        file = tmp_path / "out" / table
        whole = file.read_bytes()
        file.write_bytes(b"".join(line for line in whole.splitlines(True) if not line.startswith(b"a,")))
        assert file.read_bytes() != whole
        capsys.readouterr()
        predict(predictor(sampling), images, tmp_path / "out", overwrite=False)
        assert "1 of them are predicted already" in capsys.readouterr().out
        assert file.read_bytes() == whole

    def test_records_of_an_earlier_version(self, predictor, images, tmp_path, capsys):
        predict(predictor(), images, tmp_path / "out")
        file = tmp_path / "out" / "run.json"
        content = json.loads(file.read_text())
        for entry in content["cases"].values():
            del entry["made_from"]
        file.write_text(json.dumps(content))
        capsys.readouterr()
        predict(predictor(), images, tmp_path / "out", overwrite=False)
        printed = capsys.readouterr().out
        assert printed.count("no record of what it was made from") == 1 and "2 case(s) that an earlier run" in printed
        predict(predictor(), images, tmp_path / "out", overwrite=False)
        assert "2 of them are predicted already" in capsys.readouterr().out
