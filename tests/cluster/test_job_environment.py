"""What a job finds in its environment."""

from __future__ import annotations

import os
import shlex

from nnunet_hetero.cluster.job_environment import PREFIXES, environment_lines


def test_variables_that_are_set_are_handed_on(monkeypatch):
    for name in filter(lambda name: name.startswith(PREFIXES), list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("nnUNet_results", "/with a 'quote' and $HOME")
    monkeypatch.setenv("nnUNet_raw", "")
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    monkeypatch.setenv("NNUNET_HETERO_MAX_TIME", "23:50")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    *lines, last = environment_lines(3)
    assert [shlex.split(line)[1] for line in lines] == [
        "NNUNET_HETERO_MAX_TIME=23:50",
        "nnUNet_results=/with a 'quote' and $HOME",
        "nnUNet_wandb_enabled=1",
    ]
    assert last == "export OMP_NUM_THREADS=3"
