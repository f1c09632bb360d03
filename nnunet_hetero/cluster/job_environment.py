"""What a job of a batch system finds in its environment."""

from __future__ import annotations

import os
import shlex

from nnunet_hetero.nnunet.environment import EXT_TRAINER
from nnunet_hetero.nnunet.folders import NUMBERS, VARIABLES

NAMES = (*VARIABLES, *NUMBERS, "nnUNet_n_proc_DA", "nnUNet_compile", EXT_TRAINER)


def environment_lines(threads: int) -> list[str]:
    """Lines of shell that give a job nnU-Net's variables as they are here, those that are set.

    Args:
        threads: Of a job.
    """
    names = [name for name in dict.fromkeys(NAMES) if os.environ.get(name)]
    return [*(f"export {name}={shlex.quote(os.environ[name])}" for name in names), f"export OMP_NUM_THREADS={threads}"]
