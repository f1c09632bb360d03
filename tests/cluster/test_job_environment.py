"""What a job finds in its environment."""

from __future__ import annotations

import shlex

from nnunet_hetero.cluster.job_environment import NAMES, environment_lines


def test_variables_that_are_set_are_handed_on(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("nnUNet_results", "/with a 'quote' and $HOME")
    first, last = environment_lines(3)
    assert shlex.split(first) == ["export", "nnUNet_results=/with a 'quote' and $HOME"]
    assert last == "export OMP_NUM_THREADS=3"
