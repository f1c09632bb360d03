"""A tiny dataset, trainers on it, and what makes tests quick and repeatable."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from nnunet_hetero.training.record.history import History
from nnunet_hetero.training.record.sample_counts import SampleCounts
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer


@pytest.fixture
def no_figures(monkeypatch):
    """A second less per epoch."""
    monkeypatch.setattr("nnunetv2.training.logging.nnunet_logger.LocalLogger.plot_progress_png", lambda *_: None)
    monkeypatch.setattr(History, "draw", lambda *_: None)
    monkeypatch.setattr(SampleCounts, "draw", lambda *_: None)


@pytest.fixture
def make_trainer(tiny_dataset, tmp_path, monkeypatch):
    """Function that makes a trainer as nnUNetv2_train does.

    ``make_trainer(configuration, fold, resume, results, trainer, dataset_json, **settings)``: `results` names the
    folder for ``nnUNet_results``, `settings` go to ``hetero_modal`` of the plans.
    """

    def make(
        configuration: str = "3d_fullres",
        fold: int | str = 0,
        resume: bool = False,
        results: str = "results",
        trainer=HeteroModalVAETrainer,
        dataset_json: dict | None = None,
        **settings,
    ):
        tiny_dataset.use(monkeypatch, tmp_path / results)
        plans = tiny_dataset.plans
        plans["configurations"][configuration]["hetero_modal"].update(deepcopy(settings))
        plans["continue_training"] = resume
        return trainer(
            plans=plans,
            configuration=configuration,
            fold=fold,
            dataset_json=dataset_json or tiny_dataset.dataset_json,
            device=torch.device("cpu"),
        )

    return make
