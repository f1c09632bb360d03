"""Workers of Dask as jobs of SLURM, LSF or PBS, by dask-jobqueue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from distributed import SpecCluster

from nnunet_hetero.cluster.certificate import new_certificate
from nnunet_hetero.cluster.job_environment import environment_lines
from nnunet_hetero.cluster.resources import SUBMIT_COMMANDS, JobResources
from nnunet_hetero.errors import SettingsError

BEFORE_THE_END = 5
"""Minutes. A worker ends by itself that long before its job does, so that it finishes nothing by halves."""


def batch_cluster(resources: JobResources, preload: Sequence[str] = ()) -> SpecCluster:
    """A cluster whose workers are jobs.

    Its scheduler runs here and speaks TLS, with a certificate of this run that the jobs read from the log folder.

    Args:
        resources: Of each job.
        preload: Modules that workers import before they take work.

    Raises:
        SettingsError: If the batch system is not there.
    """
    command = SUBMIT_COMMANDS[resources.scheduler]
    if shutil.which(command) is None:
        raise SettingsError(
            f"There is no '{command}' here: jobs of {resources.scheduler} are submitted on a machine that has it, most "
            "often the login node. '--cluster local' needs no batch system."
        )
    import dask_jobqueue

    classes = {
        "slurm": dask_jobqueue.SLURMCluster,
        "lsf": dask_jobqueue.LSFCluster,
        "pbs": dask_jobqueue.PBSCluster,
    }
    os.makedirs(resources.log_directory, exist_ok=True)
    cluster = classes[resources.scheduler](**jobqueue_arguments(resources, preload))
    cluster.scale(resources.workers)
    return cluster


def jobqueue_arguments(resources: JobResources, preload: Sequence[str] = ()) -> dict[str, Any]:
    """What dask-jobqueue is told: one worker in a job, which ends before the job does; see `batch_cluster`."""
    preloads: list[str] = []
    for module in preload:
        preloads += ["--preload", module]
    limit = f"{resources.walltime // 60:02d}:{resources.walltime % 60:02d}"
    life = max(1, resources.walltime - BEFORE_THE_END)
    arguments: dict[str, Any] = {
        "queue": resources.queue,
        "walltime": limit if resources.scheduler == "lsf" else f"{limit}:00",
        "cores": resources.cases_per_worker,  # threads of the worker
        "processes": 1,
        "memory": f"{resources.memory}MiB",
        "security": new_certificate(),
        "protocol": "tls://",
        "shared_temp_directory": os.path.abspath(resources.log_directory),
        "log_directory": os.path.abspath(resources.log_directory),
        "local_directory": resources.local_directory,
        "interface": resources.interface,
        "job_name": "nnunet_hetero",
        "job_script_prologue": [*environment_lines(resources.cpus), *resources.setup],
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
        "worker_extra_args": [
            *("--memory-limit", "0", "--no-dashboard"),  # the batch system has its own limit
            *("--lifetime", f"{life}m", "--lifetime-stagger", f"{min(2, life)}m"),
            *preloads,
        ],
    }
    gpus = resources.gpus
    if resources.scheduler == "slurm":
        extra = [f"--gres=gpu:{gpus}"] if gpus else []
        arguments |= {"account": resources.account, "job_cpu": resources.cpus}
    elif resources.scheduler == "lsf":
        extra = [f'-gpu "num={gpus}"'] if gpus else []
        arguments |= {"project": resources.account, "ncpus": resources.cpus, "mem": resources.memory * 2**20}
    else:
        extra = []
        spec = f"select=1:ncpus={resources.cpus}:mem={resources.memory}mb" + (f":ngpus={gpus}" if gpus else "")
        arguments |= {"account": resources.account, "resource_spec": spec}
    return {**arguments, "job_extra_directives": [*extra, *resources.directives]}
