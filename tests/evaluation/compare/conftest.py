"""Evaluations made in a moment."""

from __future__ import annotations

import pytest
from helpers.results.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def make(tmp_path):
    """Write an evaluation and read it back under a name."""

    def run(name, score=None, **options):
        return read_run(write_evaluation(tmp_path / name, score or random_scores(len(name)), **options), name)

    return run


def steady(level):
    """The same level in all, but for a little by case, so that every difference has the same sign."""
    return lambda case, subset, region: level + case / 1000 + len(subset) / 100


@pytest.fixture
def compared(make):
    """Three methods on eleven cases, a better one and a worse one beside ours."""
    levels = {"ours_1": 0.6, "better": 0.7, "worse": 0.5}
    names = {"modalities": ("T1", "CT"), "regions": ("core", "rim_&_all")}
    return compare_runs([make(name, steady(level), **names, cases=11) for name, level in levels.items()])
