"""Evaluations made in a moment."""

from __future__ import annotations

import pytest
from helpers.results.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def make(tmp_path):
    """Write an evaluation and read it back under a name."""

    def run(name, score=None, **options):
        return read_run(write_evaluation(tmp_path / name, score or random_scores(len(name)), **options), name)

    return run
