"""What a job of a batch system finds in its environment."""

from __future__ import annotations

import os
import shlex

PREFIXES = ("nnUNet_", "NNUNET_HETERO_")
"""Of nnU-Net's variables, and of ours: folders, numbers of processes, loggers. Keys of services are not among them."""


def environment_lines(threads: int) -> list[str]:
    """Lines of shell that give a job nnU-Net's variables and ours as they are here, those that are set.

    Args:
        threads: Of a job.
    """
    names = sorted(name for name in os.environ if name.startswith(PREFIXES) and os.environ[name])
    return [*(f"export {name}={shlex.quote(os.environ[name])}" for name in names), f"export OMP_NUM_THREADS={threads}"]
