"""What a YAML file asks of a batch system."""

from __future__ import annotations

import pytest

from nnunet_hetero.cluster.resources import JobResources, read_resources
from nnunet_hetero.errors import SettingsError

WHOLE = """
scheduler: slurm
queue: gpu
walltime: 1-02:00:00
memory: 32GB
cpus: 6
gpus: 1
workers: 8
cases_per_worker: 2
setup:
  - module load cuda
directives: ["--constraint=a100"]
"""


def test_a_whole_one(tmp_path):
    file = tmp_path / "slurm.yaml"
    file.write_text(WHOLE)
    found = read_resources(file)
    assert (found.scheduler, found.queue, found.walltime, found.memory) == ("slurm", "gpu", 26 * 60, 32 * 1024)
    assert (found.setup, found.directives, found.workers) == (("module load cuda",), ("--constraint=a100",), 8)


@pytest.mark.parametrize("text", ["24:00", "'24:00'", "24:00:00", "1-00:00:00"])
def test_a_time_is_what_is_written(tmp_path, text):
    """YAML by itself reads some of these as numbers, of seconds."""
    file = tmp_path / "slurm.yaml"
    file.write_text(f"scheduler: slurm\nwalltime: {text}\n")
    assert read_resources(file).walltime == 24 * 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scheduler: slurm\nmemroy: 32GB", "'memroy' is not known"),
        ("scheduler: slurm\nmemory: 16", "the memory is '16'. Give megabytes or gigabytes"),
        ("scheduler: sge", "'scheduler' is 'sge', not 'slurm', 'lsf' or 'pbs'"),
        ("queue: gpu", "the scheduler is not named"),
        ("scheduler: slurm\ncpus: 0", "cpus"),
        ("scheduler: slurm\ngpus: one", "gpus"),
        ("scheduler: slurm\nworkers: 99999999999999999999", "workers"),
        ("scheduler: slurm\nqueue: a\nqueue: b", "has the key queue twice"),
        ("scheduler: slurm\nqueue: ''", "queue is empty"),
        ("scheduler: slurm\ndirectives: ['']", "directives is empty"),
        ("scheduler: slurm\nwalltime: soon", "the walltime is 'soon'"),
        ("scheduler: slurm\nwalltime: 60", "the walltime is '60'"),
        ("scheduler: slurm\nwalltime: [a]", "the walltime is"),
        ("scheduler: slurm\nwalltime: 00:00:00", "the walltime is '00:00:00'"),
        ("scheduler: slurm\nmemory: a lot", "the memory is 'a lot'"),
        ("scheduler: slurm\nqueue: |\n  a\n  #SBATCH b", "has several lines"),
        ("scheduler: slurm\nsetup: module load cuda", "setup"),
        ("- scheduler", "an object"),
        ("a: [", "is no YAML"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("", "is empty"),
    ],
)
def test_what_is_refused(tmp_path, text, said):
    file = tmp_path / "slurm.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"slurm\.yaml") as caught:
        read_resources(file)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="is not there"):
        read_resources(tmp_path / "slurm.yaml")


def test_what_is_not_given_has_a_default():
    assert JobResources.of({"scheduler": "pbs", "queue": None}, "flags") == JobResources("pbs")
