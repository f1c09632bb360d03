"""What a launcher of several processes, torchrun or srun, has told this one: which it is, and of how many."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_hetero.errors import SettingsError

COMMAND = "torchrun --nproc-per-node GPUS -m nnunet_hetero train DATASET CONFIGURATION FOLD"
RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""How often torchrun has started all processes anew, because one had died."""

LAST_PORT = 65535
FIRST_PORT, PORTS = 20000, 20000
"""Where a port is chosen by the number of the SLURM job, if none is given."""


@dataclass(frozen=True)
class Launch:
    """Several processes that are to train together.

    Args:
        rank: Number of this one, over all nodes, from 0.
        count: How many there are.
        local_rank: Number of this one on its node, from 0; that of its GPU.
        address: Of the node of the first.
        port: There.
    """

    rank: int
    count: int
    local_rank: int
    address: str
    port: int

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Launch | None:
        """As torchrun's variables say, or those of srun; None if this process is the only one.

        Raises:
            SettingsError: If they say half of it, or what cannot be.
        """
        if "RANK" in environment or "WORLD_SIZE" in environment:
            rank, count, local_rank = (_number(environment, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        elif _is_srun(environment):
            names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
            rank, count, local_rank = (_number(environment, name) for name in names)
        else:
            return None
        if not 0 <= local_rank <= rank < count:
            raise SettingsError(
                f"This process is said to be number {rank} of {count}, and number {local_rank} on its node; they are "
                f"counted from 0, and below the number of all. Start all by one command: {COMMAND}"
            )
        if count == 1:
            return None
        if not environment.get("MASTER_ADDR"):
            raise SettingsError(_lacks("MASTER_ADDR", "the name of the first node"))
        job = environment.get("SLURM_JOB_ID", "")
        if "MASTER_PORT" not in environment and job.isdigit():
            port = FIRST_PORT + int(job) % PORTS
        else:
            port = _number(environment, "MASTER_PORT")
        if not 1 <= port <= LAST_PORT:
            raise SettingsError(f"MASTER_PORT is {port}. Give a port of the first node, from 1 to {LAST_PORT}.")
        return cls(rank, count, local_rank, environment["MASTER_ADDR"], port)

    def export(self) -> None:
        """Say it to torch, in the variables that it reads."""
        os.environ |= {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.count),
            "LOCAL_RANK": str(self.local_rank),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def was_restarted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started this process in the place of one that died."""
    return environment.get(RESTARTS, "0") not in ("", "0")


def was_started_by_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started this process; all of a node see the same GPUs then."""
    return RESTARTS in environment


def _is_srun(environment: Mapping[str, str]) -> bool:
    # In a batch script, outside of srun, SLURM counts tasks too; only srun starts them, and numbers its step.
    outside = "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment
    return not outside and all(name in environment for name in ("SLURM_PROCID", "SLURM_NTASKS", "MASTER_ADDR"))


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None:
        raise SettingsError(_lacks(name, "a number"))
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"The environment variable {name} is '{text}', expected a whole number.")
    return int(text)


def _lacks(name: str, what: str) -> str:
    return (
        f"The environment says that several processes train together, but {name} ({what}) is not set. Start them by "
        f"one command, {COMMAND}, or unset RANK, WORLD_SIZE and LOCAL_RANK to train with one process."
    )
