"""Loggers beside nnU-Net's own: who is told what, without a network."""

from __future__ import annotations

import sys

import pytest
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.record.loggers import MLFLOW, TENSORBOARD, MLflowLogger, TensorBoardLogger, add_loggers


def epoch(logger: MetaLogger, terms, number: int) -> None:
    """What nnU-Net and the trainer log of an epoch."""
    logger.log("train_losses", 0.5 + number, number)
    logger.log("dice_per_class_or_region", [0.25, 0.75], number)
    terms.log("loss/kl", 1.5 + number, number)
    terms.log("pseudo_dice/1", 0.4, number)
    logger.log("lrs", 0.01, number)
    logger.log("epoch_end_timestamps", 3.0, number)


class TestTensorBoard:
    @pytest.fixture
    def read(self, tmp_path):
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

        def read() -> dict[str, dict[int, float]]:
            found = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
            found.Reload()
            return {tag: {event.step: event.value for event in found.Scalars(tag)} for tag in found.Tags()["scalars"]}

        return read

    def test_event_files_of_a_training_that_is_continued(self, tmp_path, monkeypatch, read):
        monkeypatch.setenv(TENSORBOARD, "1")
        for numbers, resume in (((0, 1, 2), False), ((1, 2), True)):
            logger = MetaLogger(str(tmp_path), resume)
            _, terms = add_loggers(logger, True)
            if resume:
                logger.local_logger.my_fantastic_logging["train_losses"] = [0.0]
            for number in numbers:
                if resume:
                    terms.log("loss/kl", 10.0 + number, number)
                    logger.loggers[-1].log("epoch_end_timestamps", 3.0, number)
                else:
                    epoch(logger, terms, number)
        found = read()
        assert found["loss/kl"] == {0: 1.5, 1: 11.0, 2: 12.0}
        assert {"train_losses", "lrs", "pseudo_dice/1", "dice_per_class_or_region/class_1"} <= set(found)

    def test_other_ranks_write_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setenv(TENSORBOARD, "1")
        logger = MetaLogger(str(tmp_path), False)
        epoch(logger, add_loggers(logger, False)[1], 0)
        assert not any(isinstance(one, TensorBoardLogger) for one in logger.loggers) and not list(tmp_path.iterdir())


class TestMLflow:
    def test_a_run_in_the_folder_that_is_continued(self, tmp_path, monkeypatch):
        mlflow = pytest.importorskip("mlflow")
        monkeypatch.setenv(MLFLOW, "1")
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        logger = MetaLogger(str(tmp_path), False)
        _, terms = add_loggers(logger, True)
        logger.update_config({"hparas": {"initial_lr": 0.01}})
        epoch(logger, terms, 0)
        logger.log_summary("final_val/foreground_dice", 0.8)
        again = MLflowLogger(tmp_path, resume=True)
        again.log("loss/kl", 2.5, 1)
        client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        (run,) = client.search_runs([client.get_experiment_by_name("nnunet_hetero").experiment_id])
        history = client.get_metric_history(run.info.run_id, "loss/kl")
        assert [(metric.step, metric.value) for metric in history] == [(0, 1.5), (1, 2.5)]
        assert run.data.metrics["pseudo_dice/1"] == 0.4 and run.data.metrics["final_val/foreground_dice"] == 0.8
        assert "0.01" in run.data.tags["hparas"]


@pytest.mark.parametrize("variable", [TENSORBOARD, MLFLOW])
class TestSwitches:
    def test_another_word_is_refused(self, tmp_path, monkeypatch, variable):
        monkeypatch.setenv(variable, "yes")
        with pytest.raises(SettingsError, match=f"{variable} is 'yes'. Set it to 1"):
            add_loggers(MetaLogger(str(tmp_path), False), True)

    def test_a_package_that_is_not_there(self, tmp_path, monkeypatch, variable):
        monkeypatch.setenv(variable, "1")
        for name in ("tensorboard", "mlflow"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(SettingsError, match=r"is not installed\. Install it: pip install 'nnunet_hetero\["):
            add_loggers(MetaLogger(str(tmp_path), False), True)

    def test_off_is_off(self, tmp_path, monkeypatch, variable):
        monkeypatch.setenv(variable, "0")
        logger = MetaLogger(str(tmp_path), False)
        add_loggers(logger, True)
        assert len(logger.loggers) == 1
