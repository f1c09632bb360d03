"""What dask-jobqueue is told, and workers that are jobs, of a batch system of this machine."""

from __future__ import annotations

import pytest
from helpers.cluster.batch_system import BatchSystem
from helpers.cluster.cluster_jobs import double

from nnunet_hetero.cluster.batch_cluster import batch_cluster, jobqueue_arguments
from nnunet_hetero.cluster.connection import ClusterRequest, connected
from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.cluster.resources import JobResources
from nnunet_hetero.errors import SettingsError

DIRECTIVES = {
    "slurm": ["-p gpu", "-A chest", "--cpus-per-task=6", "--mem=2G", "-t 01:30:00", "--gres=gpu:2", "-x y"],
    "lsf": ["-q gpu", '-P "chest"', "-n 6", "-W 01:30", '-gpu "num=2"', "-x y"],
    "pbs": ["-q gpu", "-A chest", "-l select=1:ncpus=6:mem=2048mb:ngpus=2", "-l walltime=01:30:00", "-x y"],
}


@pytest.mark.parametrize("scheduler", DIRECTIVES)
def test_a_job_is_one_worker_that_ends_before_the_job(scheduler, tmp_path, monkeypatch):
    jobqueue = pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("nnUNet_results", "/with a blank")
    logs = str(tmp_path / "logs")
    resources = JobResources(
        scheduler, "gpu", "chest", 90, 2048, 6, 2, ("module load x",), ("-x y",), log_directory=logs
    )
    arguments = jobqueue_arguments(resources, ("a.module",))
    for name in ("security", "protocol", "shared_temp_directory", "scheduler_options"):  # of the cluster
        arguments.pop(name)
    job = {"slurm": jobqueue.slurm.SLURMJob, "lsf": jobqueue.lsf.LSFJob, "pbs": jobqueue.pbs.PBSJob}[scheduler]
    script = job(scheduler="tls://head:1", name="worker", **arguments).job_script()
    prefix = {"slurm": "#SBATCH", "lsf": "#BSUB", "pbs": "#PBS"}[scheduler]
    lines = script.splitlines()
    assert not [line for line in DIRECTIVES[scheduler] if f"{prefix} {line}" not in lines]
    assert "export nnUNet_results='/with a blank'" in lines and "export OMP_NUM_THREADS=6" in lines
    assert "module load x" in lines and "--preload a.module" in script and "--nthreads 1 " in script
    assert "--lifetime 85m --lifetime-stagger 2m" in script and script.index("--memory-limit 0") > script.index("GiB")


def test_a_batch_system_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="There is no 'bsub' here"):
        batch_cluster(JobResources("lsf"))


def test_workers_are_jobs(tmp_path, monkeypatch):
    """A file, jobs that ``sbatch`` starts, work done by them over TLS."""
    system = BatchSystem(tmp_path / "slurm")
    monkeypatch.setenv("PATH", str(system.folder), prepend=":")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slurm.yaml").write_text("scheduler: slurm\ngpus: 0\ncpus: 1\ninterface: lo\nlog_directory: logs\n")
    with connected(ClusterRequest("slurm.yaml")) as client:
        assert client.scheduler.address.startswith("tls://127.0.0.1:")
        assert dict(FanOut(client, "double").run(double, {"a": (4,)}))["a"].result == 8
    assert (system.folder / "cancelled").read_text().split() == ["7"]
