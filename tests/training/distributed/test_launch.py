"""What torchrun's and srun's variables say, and what half of them does."""

from __future__ import annotations

import os

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.distributed.launch import Launch, was_restarted

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "MASTER_ADDR": "node1",
}


def without(variables: dict, *names: str) -> dict:
    return {name: value for name, value in variables.items() if name not in names}


def test_torchrun():
    assert Launch.of_environment(TORCHRUN) == Launch(5, 8, 1, "node1", 29500)


def test_torchrun_inside_of_a_slurm_job():
    assert Launch.of_environment({**SRUN, **TORCHRUN, "SLURM_PROCID": "0"}) == Launch(5, 8, 1, "node1", 29500)


def test_srun_with_a_port_of_the_job():
    assert Launch.of_environment(SRUN) == Launch(5, 8, 1, "node1", 20000 + 123456 % 20000)
    assert Launch.of_environment({**SRUN, "MASTER_PORT": "1234"}).port == 1234


@pytest.mark.parametrize(
    "alone",
    [
        {},
        {"MASTER_ADDR": "node1", "MASTER_PORT": "1"},
        {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"},
        without(SRUN, "SLURM_STEP_ID"),  # the batch script itself
        without(SRUN, "MASTER_ADDR"),  # tasks that have nothing to do with each other, such as one fold each
    ],
)
def test_alone(alone):
    assert Launch.of_environment(alone) is None


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_half_of_it_is_refused(name):
    with pytest.raises(SettingsError, match=rf"{name} .* is not set\. .*torchrun"):
        Launch.of_environment(without(TORCHRUN, name))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"RANK": "8"}, "number 8 of 8"),
        ({"LOCAL_RANK": "6"}, "number 6 on its node"),
        ({"RANK": "one"}, "RANK is 'one'"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2'"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT is 0"),
        ({"MASTER_PORT": "65536"}, "MASTER_PORT is 65536"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR .* is not set"),
    ],
)
def test_what_cannot_be_is_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        Launch.of_environment({**TORCHRUN, **changed})


def test_export(monkeypatch):
    for name in TORCHRUN:
        monkeypatch.setenv(name, "")  # is put back after the test
    Launch(5, 8, 1, "node1", 29500).export()
    assert {name: os.environ[name] for name in TORCHRUN} == TORCHRUN


@pytest.mark.parametrize(("count", "restarted"), [(None, False), ("0", False), ("2", True)])
def test_restart(count, restarted):
    assert was_restarted({} if count is None else {"TORCHELASTIC_RESTART_COUNT": count}) is restarted
