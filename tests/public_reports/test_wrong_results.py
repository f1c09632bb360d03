"""What lies in the folder of a prediction or an evaluation, broken: put aside with a word, or refused; no traceback."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
from helpers.accidents.spoilt import BROKEN, BROKEN_TABLE, put, require_refusal, run, spoilt, without
from helpers.results.invented_evaluation import random_scores, write_evaluation
from helpers.tiny_model import CONFIGURATION, write_case

from nnunet_hetero.io.documents import ASIDE

QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar")


SUMMARY = {
    **BROKEN,
    **{f"without {key}": without(key) for key in ("modalities", "regions", "subsets", "sizes", "mean", "cases")},
    "modalities a text": put("T1", "modalities"),
    "modality twice": put(["T1", "t1", "T2", "FLAIR"], "modalities"),
    "a modality less": put(["T1", "T1c", "T2"], "modalities"),
    "another region": put(["edema"], "regions"),
    "subsets of text": put(["T1"], "subsets"),
    "Dice of text": put("high", "subsets", 0, "mean"),
    "labels of text": put({"whole_tumor": "1"}, "labels"),
    "failed a list": put([], "failed"),
    "folds a number": put(0, "folds"),
}
SETTINGS = {**BROKEN, "model a number": put(3, "model"), "checkpoints a list": put([], "checkpoints")}
METRICS = {
    **{kind: spoil for kind, spoil in BROKEN_TABLE.items() if kind != "gone"},
    "Dice of text": lambda file: file.write_text(file.read_text().replace("0.", "high", 1)),
    "unknown subset": lambda file: file.write_text(file.read_text().replace(",T1,", ",PET,", 1)),
    "unknown region": lambda file: file.write_text(file.read_text().replace("whole_tumor", "edema", 1)),
    "no rows": lambda file: file.write_text(file.read_text().splitlines()[0] + "\n"),
}


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


class TestEvaluation:
    """In `report` and `compare`, which have nothing else."""

    @pytest.fixture(scope="class")
    def shop(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("evaluations")
        runs = [write_evaluation(folder / name, random_scores(seed)) for seed, name in enumerate(("one", "two"))]
        completion = "case,subset,n_modalities,modality,tissue,psnr,ssim\ncase_00,T1,1,T2,brain,20.5,0.7\n"
        for one in runs:
            (one / "completion.csv").write_text(completion)
        commands = {
            "report": ("report", runs[0]),
            "compare": ("compare", *runs, "--names", "A", "B", "-o", folder / "out"),
        }
        return SimpleNamespace(run=runs[0], commands=commands)

    @pytest.mark.parametrize("command", ["report", "compare"])
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            *(("summary.json", kind) for kind in SUMMARY),
            *(("settings.json", kind) for kind in SETTINGS),
            *(("metrics.csv", kind) for kind in METRICS),
        ],
    )
    def test_is_refused(self, shop, command, name, kind, capfd):
        kinds = {"summary.json": SUMMARY, "settings.json": SETTINGS, "metrics.csv": METRICS}[name]
        with spoilt(shop.run / name, kinds[kind]):
            code = run(*shop.commands[command])
        # A modality that is named twice is refused by the modalities, which know no file.
        require_refusal(code, "".join(capfd.readouterr()), "more than once" if kind == "modality twice" else name)

    @pytest.mark.parametrize("kind", ["binary", "not UTF-8", "cut off in a row", "a folder", "a loop", "semicolons"])
    def test_scores_of_completed_images(self, shop, kind, capfd):
        spoil = {**BROKEN_TABLE, "not UTF-8": BROKEN["not UTF-8"]}[kind]
        with spoilt(shop.run / "completion.csv", spoil):
            code = run(*shop.commands["report"])
        require_refusal(code, "".join(capfd.readouterr()), "completion.csv")

    @pytest.mark.parametrize("kind", ["empty", "binary", "a folder"])
    def test_slices(self, shop, kind, capfd):
        file = shop.run / "snapshots" / "case_00.npz"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"PK")
        with spoilt(file, BROKEN[kind]):
            code = run(*shop.commands["report"])
        file.unlink()
        require_refusal(code, "".join(capfd.readouterr()), "case_00.npz")

    def test_the_evaluations_themselves_are_fine(self, shop, capfd):
        assert [run(*command) for command in shop.commands.values()] == [0, 0], capfd.readouterr()


KINDS = ("empty", "no JSON", "not UTF-8", "binary", "other type", "a folder", "a loop")


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_a_prediction_are_put_aside(tiny_model, kind, tmp_path, capfd):
    """All of them at once; the prediction is whole, and so are the records that it begins anew."""
    write_case(tmp_path / "images", "a")
    out = tmp_path / "out"
    out.mkdir()
    names = ["modalities.json", "run.json", "failed.json", "predict_from_raw_data_args.json", "dataset.json"]
    names += ["plans.json", "volumes.csv"]
    for name in names:
        (out / name).write_text('{"a": {"used": ["T1"]}}')
        BROKEN[kind](out / name)
    places = ("-i", tmp_path / "images", "-o", out, "-m", tiny_model.folder, "-f", "0")
    flags = (*QUICK, "-npp", "0", "-nps", "0", "--num_samples", "2", "--continue_prediction")
    code = run("predict", *places, *flags)
    printed = "".join(capfd.readouterr())
    assert code == 0 and "Traceback" not in printed, printed
    for name in names:
        assert f"{out / name} " in printed and "is kept as" in printed
        assert (out / f"{name}{ASIDE}").exists() or (out / f"{name}{ASIDE}").is_symlink(), name
    assert json.loads((out / "modalities.json").read_text())["a"]["absent"] == {}
    assert json.loads((out / "run.json").read_text())["cases"]["a"]["run"] == 0
    assert (out / "volumes.csv").read_text().startswith("case,modalities,") and (out / "a.nii.gz").is_file()
    assert not (out / "failed.json").exists()


@pytest.mark.parametrize("kind", ["empty", "binary", "a folder", "a loop", "other type"])
def test_records_of_a_completion_are_put_aside(tiny_model, kind, tmp_path, capfd):
    write_case(tmp_path / "images", "a", present=(0, 1, 2))
    out = tmp_path / "out"
    out.mkdir()
    for name in ("modalities.json", "failed.json"):
        (out / name).write_text("{}")
        BROKEN[kind](out / name)
    places = ("-i", tmp_path / "images", "-o", out, "-m", tiny_model.folder, "-f", "0")
    code = run("complete", *places, *QUICK, "-npp", "0", "--num_samples", "0", "--continue_prediction")
    printed = "".join(capfd.readouterr())
    assert code == 0 and "Traceback" not in printed and f"{out / 'modalities.json'} " in printed, printed
    assert (out / "completed" / "a_0003.nii.gz").is_file()


class TestContinuedEvaluation:
    @pytest.fixture(scope="class")
    def finished(self, tiny_model, tmp_path_factory):
        """An evaluation of one case and one subset."""
        folder = tmp_path_factory.mktemp("continued")
        write_case(folder / "images", "a", labels=folder / "labels")
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name, value in tiny_model.environment().items():
                monkeypatch.setenv(name, value)
            assert run(*self.command(tiny_model, folder)) == 0
        return folder

    def command(self, model, folder):
        places = ("-i", folder / "images", "-l", folder / "labels", "-o", folder / "out")
        flags = ("--subsets", "T1", "--completion", "--metrics", "dice")
        return ("evaluate", *places, "-d", model.dataset, "-c", CONFIGURATION, "-f", "0", *QUICK, *flags)

    @pytest.mark.parametrize("kind", ["empty", "binary", "cut off", "a folder"])
    @pytest.mark.parametrize("name", ["settings.json", "metrics.csv", "completion.csv", "summary.json"])
    def test_is_measured_anew(self, tiny_model, finished, name, kind, tmp_path, capfd):
        folder = shutil.copytree(finished, tmp_path / "copy")
        out = folder / "out"
        before = (out / "metrics.csv").read_text()
        BROKEN[kind](out / name)
        code = run(*self.command(tiny_model, folder))
        printed = "".join(capfd.readouterr())
        assert "Traceback" not in printed, printed
        # A folder is nothing that a table could be written over: moved aside, or refused by name.
        if code:
            require_refusal(code, printed, name)
        else:
            assert (out / "metrics.csv").read_text() == before
            assert len((out / "completion.csv").read_text().splitlines()) > 3
            assert json.loads((out / "summary.json").read_text())["cases"] == 1
