"""Evaluations that are stopped, or done again with other settings."""

from __future__ import annotations

import os

import pytest
from helpers.evaluation import evaluate, labelled_folders
from helpers.tiny_model import write_tiny_model

from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.sweep import all_subsets as sweep
from nnunet_hetero.evaluation.sweep.results import ResultFiles
from nnunet_hetero.inference.engine.subset_prediction import predict_subsets


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    return labelled_folders(tmp_path)


class TestContinuation:
    @pytest.fixture
    def predicted(self, monkeypatch):
        """Case and subset of every segmentation that was computed."""
        seen = []

        def counted(model, data, case, targets, *arguments):
            for target, found in zip(targets, predict_subsets(model, data, case, targets, *arguments), strict=True):
                seen.append((case, model.modalities.label(target.subset)))
                yield found

        monkeypatch.setattr(sweep, "predict_subsets", counted)
        return seen

    def test_only_what_is_not_there_yet(self, tiny_model, folders, predicted):
        first = evaluate(tiny_model, **folders, subsets=["T1", "T2"])
        second = evaluate(tiny_model, **folders, subsets=["T1", "FLAIR"])
        assert predicted == [("a", "T1"), ("a", "T2"), ("a", "FLAIR")]
        assert {entry.subset for entry in second.summary.subsets} == {"T1", "FLAIR"}
        assert second.evaluation.rows[:3] == first.evaluation.rows[:3]
        evaluate(tiny_model, **folders, subsets=["T1"], save_predictions=True)
        assert len(predicted) == 4

    def test_a_killed_cross_validation(self, tiny_model, tmp_path, predicted, monkeypatch):
        """Killed within the second case; afterwards nothing is computed twice, and the result is that of one run."""
        whole = evaluate(tiny_model, None, output=tmp_path / "whole", subsets=["T1", "T1c", "T1+T1c"])
        expected, predicted[:] = list(predicted), []
        add = ResultFiles.add

        def killed(self, *rows):
            if len(predicted) == 5:
                raise KeyboardInterrupt
            add(self, *rows)

        with monkeypatch.context() as context:
            context.setattr(ResultFiles, "add", killed)
            with pytest.raises(KeyboardInterrupt):
                evaluate(tiny_model, None, output=tmp_path / "parts", subsets=["T1", "T1c", "T1+T1c"])
        assert not (tmp_path / "parts" / "summary.json").exists()
        assert predicted == expected[:5]
        parts = evaluate(tiny_model, None, output=tmp_path / "parts", subsets=["T1", "T1c", "T1+T1c"])
        # What was not written when the run ended is the only thing that is done again.
        assert predicted[5:] == expected[4:]
        assert parts.summary == whole.summary
        for row, other in zip(parts.evaluation.rows, whole.evaluation.rows, strict=True):
            assert row == pytest.approx(other, nan_ok=True)

    def test_other_draws_start_anew(self, tiny_model, folders, predicted):
        for sampling in ({}, {"num_samples": 2}, {"num_samples": 2, "seed": 1}, {"num_samples": 2, "seed": 1}):
            evaluate(tiny_model, **folders, **sampling, subsets=["T1"])
        assert len(predicted) == 3

    def test_other_metrics_start_anew(self, tiny_model, folders, predicted, capsys):
        for metrics in (MetricOptions(), MetricOptions(("dice",)), MetricOptions(("dice",))):
            found = evaluate(tiny_model, **folders, metrics=metrics, subsets=["T1"])
        assert len(predicted) == 2
        assert "are replaced" in capsys.readouterr().out
        assert list(found.summary.overall.scores) == ["dice"]

    def test_new_checkpoint_starts_anew(self, folders, predicted, tmp_path):
        model = write_tiny_model(tmp_path / "model")
        evaluate(model, **folders, subsets=["T1"])
        os.utime(model.folder / "fold_0" / "checkpoint_final.pth", (1, 1))
        evaluate(model, **folders, subsets=["T1"])
        assert len(predicted) == 2

    @pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
    def test_other_file_of_the_model_starts_anew(self, folders, predicted, tmp_path, capsys, name):
        """Even one that was put back with the date of the other."""
        model = write_tiny_model(tmp_path / "model")
        file = model.folder / name
        evaluate(model, **folders, subsets=["T1"])
        evaluate(model, **folders, subsets=["T1"])
        assert len(predicted) == 1
        date = file.stat().st_mtime_ns
        with file.open("ab") as stream:
            stream.write(b" ")
        os.utime(file, ns=(date, date))
        evaluate(model, **folders, subsets=["T1"])
        assert len(predicted) == 2
        what = "checkpoint of fold 0" if name.endswith("pth") else name
        assert f"Case 'a' is evaluated again: {what} has changed: {file}" in capsys.readouterr().out
