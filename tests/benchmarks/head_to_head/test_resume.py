"""The benchmark's folder: claimed once, prepared once, finished parts never repeated, settings never mixed."""

from __future__ import annotations

import argparse
import inspect
import json
import shlex
from pathlib import Path

import accuracy
import pytest
from head_to_head import training
from head_to_head.data import Setup, claim, prepare, preprocessed_folder, set_variables
from head_to_head.methods import choose_methods, training_length
from head_to_head.runs import PlanChanges, TrainingRun
from helpers.tiny_model import tiny_plans, write_json

from nnunet_hetero.cli.results import evaluate
from nnunet_hetero.errors import DataError, SettingsError


class Recorder:
    """Takes the place of `Steps`: notes the commands and leaves what they would leave."""

    def __init__(self, results: dict[str, Path] | None = None, content: dict | None = None):
        self.names: list[str] = []
        self.commands: list[list[str]] = []
        self.results = results or {}
        self.content = content or {"rows": [], "note": ""}

    def run(self, name, command, show=None):
        self.names.append(name.split("_")[0])
        self.commands.append(list(command))
        file = self.results.get(self.names[-1])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, self.content)


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A benchmark's folder with nnU-Net's plans in it."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, "")  # undone after the test
    found = claim(tmp_path / "out", Setup("phantom"))
    set_variables(found)
    preprocessed_folder(found).mkdir()
    write_json(preprocessed_folder(found) / "nnUNetPlans.json", tiny_plans())
    return found


def make_run(out: Path, changes: PlanChanges | None = None, variant=(), **settings) -> TrainingRun:
    (method,) = choose_methods([], [["mine", *variant]])
    settings = {**method.settings, **training_length(10), "seed": 1, **settings}
    return TrainingRun(out, method, 1, 0, settings, changes or PlanChanges())


def results_of(run: TrainingRun) -> dict[str, Path]:
    return {
        "train": run.model / "fold_0" / "checkpoint_final.pth",
        "evaluate": run.folder / "evaluation" / "summary.json",
        "completion": run.folder / "completion.json",
    }


class TestClaim:
    def test_the_same_data_again_is_welcome(self, tmp_path):
        assert claim(tmp_path / "out", Setup("phantom")) == claim(tmp_path / "out", Setup("phantom"))

    def test_other_data_is_refused_and_named(self, tmp_path):
        claim(tmp_path / "out", Setup("phantom", folds=3))
        with pytest.raises(SettingsError, match="folds 3, now asked for is 4"):
            claim(tmp_path / "out", Setup("phantom", folds=4))

    def test_someone_elses_folder_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(SettingsError, match=r"other content \(thesis.txt\)"):
            claim(tmp_path, Setup("phantom"))
        assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]

    def test_numbers_of_phantoms_do_not_matter_for_real_data(self, tmp_path):
        (tmp_path / "raw").mkdir()
        claim(tmp_path / "out", Setup(str(tmp_path / "raw"), cases=42))
        before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
        claim(tmp_path / "out", Setup(str(tmp_path / "raw"), cases=12))
        assert before == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} != {}

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"folds": 1}, SettingsError, "--folds is 1"),
            ({"spacing": 0}, SettingsError, "--spacing is 0"),
            ({"cases": 5}, SettingsError, "5 folds need 10"),
            ({"unlabelled": -1}, SettingsError, "--unlabelled is -1"),
            ({"data": "no/such/folder"}, DataError, "is no folder"),
        ],
    )
    def test_impossible_settings(self, arguments, error, message):
        with pytest.raises(error, match=message):
            Setup(**{"data": "phantom", **arguments})


class TestPrepare:
    def test_commands_and_their_order(self, out):
        steps = Recorder()
        prepare(out, Setup("phantom", spacing=4), steps, processes=2)
        assert steps.names == ["phantom", "convert", "splits", "plan"]
        plan = steps.commands[-1]
        assert plan[plan.index("-overwrite_target_spacing") + 1 :][:3] == ["4", "4", "4"]

    def test_is_not_repeated(self, out):
        prepare(out, Setup("phantom"), Recorder(), 1)
        again = Recorder()
        prepare(out, Setup("phantom"), again, 1)
        assert again.names == []

    def test_what_an_interrupted_one_left_is_removed(self, out):
        half = out / "nnUNet_raw" / "Dataset501_Benchmark"
        half.mkdir()
        prepare(out, Setup("phantom"), Recorder(), 1)
        assert not half.exists()

    def test_some_cases_lose_their_segmentation(self, out, tmp_path):
        raw, steps = tmp_path / "raw", Recorder()
        for case in "abcdefg":
            (raw / case).mkdir(parents=True)
            for image in ("t1", "seg"):
                (raw / case / f"{case}_{image}.nii.gz").touch()
        prepare(out, Setup(str(raw), folds=2, unlabelled=3), steps, 1)
        convert = steps.commands[0]
        assert convert[-2:] == ["--unlabelled", "train"]
        copy = Path(convert[convert.index("-i") + 1])
        assert len(list(copy.rglob("*_t1.nii.gz"))) == 7 and len(list(copy.rglob("*_seg.nii.gz"))) == 4
        assert len(list(raw.rglob("*_seg.nii.gz"))) == 7
        with pytest.raises(SettingsError, match=r"--unlabelled 4: of 7 cases .* 4 or more must keep it, for 2 folds"):
            (out / "prepared.json").unlink()
            prepare(out, Setup(str(raw), folds=2, unlabelled=4), steps, 1)

    def test_native_spacing_is_left_to_nnunet(self, out, tmp_path):
        steps = Recorder()
        (tmp_path / "raw").mkdir()
        prepare(out, Setup(str(tmp_path / "raw")), steps, 1)
        assert steps.names == ["convert", "splits", "plan"]
        assert "-overwrite_target_spacing" not in steps.commands[-1]


class TestTrainingRun:
    def test_every_part_once(self, out):
        run = make_run(out)
        run.begin()
        steps = Recorder(results_of(run))
        run.run(steps, "cpu", ["dice"])
        assert steps.names == ["train", "evaluate", "completion"]
        again = Recorder()
        run.run(again, "cpu", ["dice"])
        assert again.names == [] and run.finished

    @pytest.mark.parametrize("missing", ["train", "evaluate", "completion"])
    def test_only_what_is_missing_is_done(self, out, missing):
        run = make_run(out)
        run.begin()
        run.run(Recorder(results_of(run)), "cpu", ["dice"])
        results_of(run)[missing].unlink()
        steps = Recorder(results_of(run))
        run.run(steps, "cpu", ["dice"])
        assert steps.names == [missing]

    def test_an_evaluation_with_failed_cases_is_tried_again(self, out):
        run = make_run(out)
        run.begin()
        run.run(Recorder(results_of(run)), "cpu", ["dice"])
        write_json(results_of(run)["evaluate"], {"failed": {"case_1": "Case 'case_1': no label"}})
        steps = Recorder()
        run.run(steps, "cpu", ["dice"])
        assert steps.names == ["evaluate"]

    def test_training_takes_what_it_is_given(self, out):
        run = make_run(out)
        run.begin()
        steps = Recorder(results_of(run))
        run.run(steps, "cpu", ["dice"])
        module = steps.commands[0].index("head_to_head.training")
        bound = inspect.signature(training.train).bind(*steps.commands[0][module + 1 :])
        assert (bound.arguments["trainer_name"], bound.arguments["device"]) == (run.method.trainer, "cpu")
        assert bound.arguments["precision"] == "float32"

    def test_evaluation_takes_the_flags_it_is_given(self, out):
        run = make_run(out)
        run.begin()
        steps = Recorder(results_of(run))
        run.run(steps, "cpu", ["dice", "hd95"])
        parser = argparse.ArgumentParser()
        evaluate.add_arguments(parser)
        args = parser.parse_args(steps.commands[1][2:])
        assert (args.metrics, args.num_samples, args.disable_tta) == (["dice", "hd95"], 0, True)
        assert args.o == str(run.folder / "evaluation")

    def test_other_settings_are_refused_and_named(self, out):
        make_run(out).begin()
        with pytest.raises(SettingsError, match=r"kl_weight 0.03, now asked for is 0"):
            make_run(out, variant=["kl_weight=0"]).begin()
        with pytest.raises(SettingsError, match=r"num_epochs 1, now asked for is 4"):
            make_run(out, num_epochs=4).begin()
        with pytest.raises(SettingsError, match="features"):
            make_run(out, PlanChanges(features=[4, 8, 8])).begin()

    def test_a_setting_that_is_new_since_then_is_told(self, out, capsys):
        run = make_run(out)
        run.begin()
        record = {key: value for key, value in run.record.items() if key != "kl_weight"}
        write_json(run.folder / "run.json", record)
        run.begin()
        assert "without the setting(s) kl_weight 0.03" in capsys.readouterr().out
        assert run.record == record

    def test_plans_have_the_changes_and_the_settings(self, out):
        run = make_run(out, PlanChanges([4, 8], [8, 8, 16], 3), variant=["kl_weight=0"])
        run.begin()
        file = preprocessed_folder(out) / "nnUNetPlans_mine_seed1.json"
        configuration = json.loads(file.read_text())["configurations"]["3d_fullres"]
        assert configuration["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 8, 8]
        assert (configuration["patch_size"], configuration["batch_size"]) == ([8, 8, 16], 3)
        assert configuration["hetero_modal"]["kl_weight"] == 0 and configuration["hetero_modal"]["seed"] == 1

    def test_a_patch_that_the_network_cannot_halve_is_refused(self, out):
        with pytest.raises(SettingsError, match=r"multiples of \[4, 4, 4\]"):
            make_run(out, PlanChanges(patch=[8, 8, 10])).begin()


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--steps", "0"], "--steps is 0"),
            (["--only-folds", "5"], "there are 0 to 4"),
            (["--jobs", "0"], "--jobs is 0"),
            (["--methods", "ours", "--against", "dropout"], "one of the methods of this call, ours"),
            (["--seeds", "1", "1"], "each must be there once"),
            (["--methods", "nobody"], "no method 'nobody'"),
            (["--set", "kl_weight=x"], "kl_weight is 'x'"),
        ],
    )
    def test_refused_before_anything_is_written(self, tmp_path, capsys, arguments, message):
        out = tmp_path / "out"
        assert accuracy.main(["--data", "phantom", "--out", str(out), *arguments]) == 1
        assert message in capsys.readouterr().err and not out.exists()

    def test_the_documented_commands_are_possible(self):
        root = Path(accuracy.__file__).parents[1]
        texts = [
            accuracy.__doc__,
            *(file.read_text(encoding="utf-8") for file in sorted(root.glob("docs/how-to/*.md"))),
        ]
        lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
        commands = [line.split("accuracy.py ", 1)[1] for line in lines if "python benchmarks/accuracy.py " in line]
        assert len(commands) > 5
        for command in commands:
            words = shlex.split(command.replace("...", "--data RAW"), comments=True)
            args = accuracy.parser().parse_args(words)
            choose_methods(args.methods, args.variant, args.set)

    def test_the_makefiles_methods_are_those_of_its_report(self):
        makefile = (Path(accuracy.__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
        (compared,) = [line.split(":=")[1].split() for line in makefile.splitlines() if line.startswith("COMPARED")]
        command = makefile.replace("\\\n", " ").split("accuracy.py ", 1)[1].splitlines()[0]
        command = command.replace("$(COMPARED)", " ".join(compared)).replace("$(COMPARE_OUT)", "out")
        args = accuracy.parser().parse_args(shlex.split(command))
        methods = choose_methods(args.methods, args.variant, args.set)
        assert {"ours", "uhemis", "dropout", "paper"} == {method.name for method in methods}
        # One optimiser for all, so that the networks are compared.
        assert len({method.settings["optimizer"] for method in methods}) == 1
        held_out = args.cases // args.folds
        assert held_out >= 13  # fewer cannot be significant after the correction
