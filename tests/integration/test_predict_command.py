"""nnU-Net's prediction commands with our flags: what nnU-Net's entry point sees, and what the user sees."""

from __future__ import annotations

import sys

import pytest
import torch
from nnunetv2.inference import predict_from_raw_data as nnunet_module

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.options import PredictionOptions, split_prediction_flags
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.integration import predict_command
from nnunet_hetero.integration.predict_command import predict
from nnunet_hetero.integration.startup import hook_entry_points
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, EXT_TRAINER

CALL = ["-i", "IN", "-o", "OUT", "-d", "501", "-c", "3d_fullres"]
STOCK_PREDICTOR = nnunet_module.nnUNetPredictor


@pytest.fixture(autouse=True)
def any_arguments(monkeypatch):
    """The arguments here are placeholders: no folders, and a device that may not be there."""
    monkeypatch.setattr(predict_command, "require_possible_prediction", lambda _: None)


class Recorder:
    """Stands in for nnU-Net's entry point: notes what that would find."""

    def __init__(self, then=None):
        self.calls = []
        self.then = then

    def __call__(self):
        self.calls.append((sys.argv, nnunet_module.nnUNetPredictor))
        if self.then:
            self.then()
        return "what nnU-Net returns"


@pytest.fixture
def call(monkeypatch):
    """Call a hooked entry point with arguments, as the console script does."""

    def call_with(arguments, original, name="predict_entry_point"):
        argv = ["/bin/nnUNetv2_predict", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        try:
            return predict(nnunet_module, name, original)
        finally:
            assert sys.argv is argv and nnunet_module.nnUNetPredictor is STOCK_PREDICTOR

    return call_with


def failing_call(call, capsys, *arguments, **keywords) -> str:
    with pytest.raises(SystemExit) as end:
        call(*arguments, **keywords)
    assert end.value.code == 1
    return capsys.readouterr().err


class TestOtherTrainers:
    @pytest.mark.parametrize(
        "trainer", [[], ["-tr", "nnUNetTrainer"], ["-tr", "nnUNetTrainer_5epochs"], ["-tr=Nobody"]]
    )
    def test_nothing_changes(self, call, trainer):
        original = Recorder()
        assert call([*CALL, "-f", "0", "1", "all", *trainer], original) == "what nnU-Net returns"
        ((argv, predictor),) = original.calls
        assert argv is sys.argv and predictor is STOCK_PREDICTOR

    @pytest.mark.parametrize("trainer", ["nnUNetTrainer", "nnUNetTrainer_5epochs"])
    def test_our_flags_are_refused_with_the_remedy(self, call, capsys, trainer):
        original = Recorder()
        error = failing_call(call, capsys, [*CALL, "-tr", trainer, "--available", "T1"], original)
        assert error.startswith("error: ") and original.calls == []
        assert f"'{trainer}'" in error and "--available" in error and f"-tr {DEFAULT_TRAINER}" in error

    def test_a_trainer_that_cannot_be_loaded(self, call, capsys):
        error = failing_call(call, capsys, [*CALL, "-tr", "Nobody", "--missing", "T1"], Recorder())
        assert error.startswith("error: Trainer 'Nobody' cannot be loaded: ")

    def test_broken_arguments_are_left_to_nnunet(self, call):
        original = Recorder()
        call([*CALL, "-tr"], original)
        assert len(original.calls) == 1

    def test_an_abbreviation_of_our_flag_is_not_our_flag(self, call):
        original = Recorder()
        call([*CALL, "--miss", "T1"], original)
        assert original.calls[0][0][-2:] == ["--miss", "T1"]


class TestOurTrainer:
    @pytest.mark.parametrize(
        ("arguments", "rest", "options"),
        [
            ([*CALL, "-f", "0", "1", "all"], [*CALL, "-f", "0", "1", "all"], PredictionOptions()),
            (["--missing", "T1", "T1c", *CALL], CALL, PredictionOptions(missing=("T1", "T1c"))),
            (
                ["-f", "0", "1", "--missing", "t1c", *CALL, "--missing", "3"],
                ["-f", "0", "1", *CALL],
                PredictionOptions(missing=("t1c", "3")),
            ),
            ([*CALL, "--available=FLAIR", "--c"], [*CALL, "--c"], PredictionOptions(available=("FLAIR",))),
        ],
    )
    @pytest.mark.parametrize("trainer", [["-tr", DEFAULT_TRAINER], [f"-tr={DEFAULT_TRAINER}"], ["-t", DEFAULT_TRAINER]])
    def test_nnunet_finds_its_own_flags_and_our_predictor(self, call, arguments, rest, options, trainer):
        found = []

        def make_predictor():
            found.append(nnunet_module.nnUNetPredictor(tile_step_size=0.7, device=torch.device("cpu")))

        original = Recorder(then=make_predictor)
        assert call([*trainer, *arguments], original) == "what nnU-Net returns"
        assert original.calls[0][0] == ["/bin/nnUNetv2_predict", *trainer, *rest]
        assert isinstance(found[0], HeteroModalPredictor)
        assert found[0].options == options and found[0].tile_step_size == 0.7

    def test_failed_cases_make_the_exit_code_1(self, call, capsys):
        def predict_with_failure():
            nnunet_module.nnUNetPredictor(device=torch.device("cpu")).failed["case_7"] = "Case 'case_7' is empty."

        error = failing_call(call, capsys, [*CALL, "-tr", DEFAULT_TRAINER], Recorder(then=predict_with_failure))
        assert error.startswith("error: 1 case(s)") and "case_7" in error

    def test_errors_of_the_user_have_no_traceback(self, call, capsys):
        def fail():
            raise DataError("The folder IN has no cases.")

        error = failing_call(call, capsys, [*CALL, "-tr", DEFAULT_TRAINER], Recorder(then=fail))
        assert error == "error: The folder IN has no cases.\n"

    @pytest.mark.parametrize("there", ["nothing", "folder above", "folder", "file"])
    def test_an_error_leaves_no_empty_folder(self, call, capsys, tmp_path, there):
        output = tmp_path / "above" / "out"
        if there != "nothing":
            (output.parent if there == "folder above" else output).mkdir(parents=True)

        def fail():
            output.mkdir(parents=True, exist_ok=True)  # as nnU-Net's command does
            if there == "file":
                (output / "failed.json").write_text("{}")
            raise DataError("The folder IN has no cases.")

        failing_call(call, capsys, ["-i", "IN", "-o", str(output), "-tr", DEFAULT_TRAINER], Recorder(then=fail))
        left = {"nothing": [], "folder above": ["above"], "folder": ["above", "above/out"]}
        left["file"] = [*left["folder"], "above/out/failed.json"]
        assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == left[there]

    def test_defects_keep_their_traceback(self, call):
        def fail():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            call([*CALL, "-tr", DEFAULT_TRAINER], Recorder(then=fail))

    def test_a_subclass_of_the_user_is_ours(self, call, tmp_path, monkeypatch, capsys):
        (tmp_path / "my_trainers.py").write_text(
            f"from nnunet_hetero.training.vae_trainer import {DEFAULT_TRAINER}\n\n\n"
            f"class MyTrainer({DEFAULT_TRAINER}):\n    pass\n"
        )
        monkeypatch.setenv(EXT_TRAINER, str(tmp_path))
        original = Recorder()
        call([*CALL, "-tr", "MyTrainer", "--missing", "T1"], original)
        assert issubclass(original.calls[0][1], HeteroModalPredictor)
        assert capsys.readouterr().out == ""


class TestModelFolder:
    NAME = "predict_entry_point_modelfolder"

    def test_trainer_from_the_name_of_the_folder(self, call, capsys):
        for trainer, predictor in ((DEFAULT_TRAINER, HeteroModalPredictor), ("nnUNetTrainer", STOCK_PREDICTOR)):
            original = Recorder()
            call(["-i", "IN", "-o", "OUT", "-m", f"/models/{trainer}__nnUNetPlans__2d/"], original, self.NAME)
            assert issubclass(original.calls[0][1], predictor)
            assert issubclass(original.calls[0][1], HeteroModalPredictor) == (trainer == DEFAULT_TRAINER)

    def test_trainer_from_a_checkpoint_if_the_folder_was_renamed(self, call, tmp_path, capsys):
        arguments = ["-i", "IN", "-o", "OUT", "-m", str(tmp_path), "-chk", "best.pth", "--missing", "T1"]
        assert "'nnUNetTrainer'" in failing_call(call, capsys, arguments, Recorder(), name=self.NAME)
        (tmp_path / "fold_0").mkdir()
        torch.save({"trainer_name": DEFAULT_TRAINER}, tmp_path / "fold_0" / "best.pth")
        original = Recorder()
        call(arguments, original, self.NAME)
        assert issubclass(original.calls[0][1], HeteroModalPredictor)


def test_help_shows_our_flags_below_those_of_nnunet(call, capsys):
    original = getattr(nnunet_module.predict_entry_point, "__wrapped__", nnunet_module.predict_entry_point)
    with pytest.raises(SystemExit) as end:
        call(["-h"], original)
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert (
        printed.index("-prev_stage_predictions") < printed.index("--missing NAME") < printed.index("--available NAME")
    )


def test_missing_and_available_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as end:
        split_prediction_flags(["--missing", "T1", "--available", "T2"], prog="nnUNetv2_predict")
    assert end.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_an_nnunet_that_we_do_not_know_is_refused(call, capsys, monkeypatch):
    def refuse():
        raise predict_command.SettingsError("nnunetv2 is 2.7.0, nnunetv2<2.9,>=2.8.1 is needed.")

    monkeypatch.setattr(predict_command, "require_supported_nnunet", refuse)
    assert "2.7.0" in failing_call(call, capsys, [*CALL, "-tr", DEFAULT_TRAINER], Recorder())
    call(CALL, Recorder())  # with other trainers we have no say


def test_hooking_twice_is_hooking_once():
    class Module:
        @staticmethod
        def predict_entry_point():
            """nnU-Net's."""

    original = Module.predict_entry_point
    hook_entry_points(Module)
    hooked = Module.predict_entry_point
    hook_entry_points(Module)
    assert Module.predict_entry_point is hooked and hooked.__wrapped__ is original
    assert hooked.__doc__ == "nnU-Net's."
