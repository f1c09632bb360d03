"""The scripts of job arrays: their directives by a parser, their shell by bash, their jobs by a batch system."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from helpers.cluster.batch_system import BatchSystem

from nnunet_hetero.cli.main import main
from nnunet_hetero.cluster.job_script import job_script
from nnunet_hetero.cluster.resources import JobResources

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")

FLAGS = {
    "slurm": (
        "#SBATCH ",
        "--job-name --array --partition --account --time --ntasks --cpus-per-task --mem --gres --output --open-mode "
        "--signal --constraint",
        "--requeue",
    ),
    "lsf": ("#BSUB ", "-J -q -P -W -n -R -M -gpu -o -wa -wt -Q", "-r"),
    "pbs": ("#PBS ", "-N -J -q -A -l -o -j -r", ""),
}
"""Prefix of the directives, flags with a value, and switches, by the batch systems' manuals."""


def directives(script: str, scheduler: str) -> list[tuple[str, str]]:
    """Flags and values of the head of a script; raises at one that is unknown."""
    prefix, with_value, switches = FLAGS[scheduler]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    found: list[tuple[str, str]] = []

    class Note(argparse.Action):
        def __call__(self, _parser, _namespace, value, flag=None):
            found.append((flag, value))

    for flag in with_value.split():
        parser.add_argument(flag, action=Note)
    for flag in switches.split():
        parser.add_argument(flag, action=Note, nargs=0)
    head = script.split("\n\n")[0].splitlines()
    assert head[0] == "#!/bin/bash"
    for line in head[1:]:
        assert line.startswith(prefix), line
        parser.parse_args(shlex.split(line.removeprefix(prefix)))
    return found


@pytest.fixture(params=["slurm", "lsf", "pbs"])
def resources(request):
    return JobResources(request.param, "gpu", "chest", 90, 2048, 6, 2, ("module load 'x y'",), ("-q fast",))


def test_directives_and_shell(resources, tmp_path):
    own = ("--constraint=a100",) if resources.scheduler == "slurm" else ("-q fast",)
    resources = replace(resources, directives=own)
    script = job_script(resources, [["train", "501", "2d", "0"], ["train", "a b", "$x"]], "name", "/x/y z.sh")
    found = dict(directives(script, resources.scheduler))
    array = {"slurm": ("--array", "0-1"), "lsf": ("-J", "name[1-2]"), "pbs": ("-J", "0-1")}[resources.scheduler]
    assert found[array[0]] == array[1]
    limit = {"slurm": ("--time", "01:30:00"), "lsf": ("-W", "01:30"), "pbs": ("-l", "walltime=01:30:00")}
    assert found[limit[resources.scheduler][0]] == limit[resources.scheduler][1]
    assert "module load 'x y'\n" in script and "train 'a b' '$x' ;;" in script
    file = tmp_path / "script.sh"
    file.write_text(script)
    subprocess.run(["bash", "-n", str(file)], check=True)


def test_odd_names_stay_one_word(resources):
    odd = replace(resources, queue="große karte", account="it's", log_directory="my logs", directives=())
    flags = {
        "slurm": ("--partition", "--account", "--output"),
        "lsf": ("-q", "-P", "-o"),
        "pbs": ("-q", "-A", "-o"),
    }[resources.scheduler]
    found = dict(directives(job_script(odd, [["train", "501", "2d", "0"]], "name", "x.sh"), resources.scheduler))
    queue, account, output = (found[flag] for flag in flags)
    assert (queue, account) == ("große karte", "it's") and output.startswith("my logs/")


def test_an_array_of_one(resources):
    resources = replace(resources, directives=())
    found = dict(directives(job_script(resources, [["train", "501", "2d", "0"]], "name", "x.sh"), resources.scheduler))
    wanted = {"slurm": ("--array", "0-0"), "lsf": ("-J", "name[1-1]"), "pbs": ("-J", "0-1:2")}[resources.scheduler]
    assert found[wanted[0]] == wanted[1]


def written(tmp_path, scheduler: str, command: str, change: tuple[str, str] = ("", "")) -> tuple[Path, dict[str, str]]:
    """A script with one command of shell, and its environment, where small programs write down what they are asked."""
    file = tmp_path / "script.sh"
    script = job_script(JobResources(scheduler, gpus=0), [["x"]], "name", "x.sh").replace(*change)
    text = script.split("set -- ")[0] + f"set -- bash -c {shlex.quote(command)} ;;\n"
    file.write_text(text + script.partition(" ;;\n")[2])
    for name in ("scontrol", "qsub"):
        (tmp_path / name).write_text(f"#!/bin/bash\necho {name} $@ > {tmp_path}/again\n")
        (tmp_path / name).chmod(0o755)
    variables = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0", "LSB_JOBINDEX": "1", "PBS_ARRAY_INDEX": "0"}
    return file, {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}


def wait_for(what) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


AGAIN = {"slurm": ("scontrol requeue 7_0\n", 0), "lsf": (None, 75), "pbs": ("qsub -J 0-1:2 x.sh\n", 0)}
"""What queues a job again: a command, or an exit code."""


@pytest.mark.parametrize("scheduler", ["slurm", "lsf", "pbs"])
@pytest.mark.parametrize(
    ("code", "number", "again", "otherwise"),
    [
        (0, None, False, 0),
        (1, None, False, 1),
        (75, None, True, 0),
        (0, signal.SIGUSR1, False, 0),
        (3, signal.SIGUSR1, True, 0),
        (75, signal.SIGUSR1, True, 0),
        (75, signal.SIGTERM, False, 143),
        (3, signal.SIGTERM, False, 3),
        (75, signal.SIGINT, False, 143),
    ],
)
def test_when_a_job_is_queued_again(tmp_path, scheduler, code, number, again, otherwise):
    """After a warning, or if the command asks for it, and not if someone ends the job (``bkill``, ``qdel``)."""
    command = f"trap 'sleep 0.2; exit {code}' TERM; echo ready > {tmp_path}/ready; sleep 30 & wait"
    file, environment = written(tmp_path, scheduler, f"exit {code}" if number is None else command)
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where the tests run in the background
    with subprocess.Popen(["bash", str(file)], env=environment, preexec_fn=heard) as process:
        if number is not None:
            wait_for((tmp_path / "ready").exists)
            for _ in range(2):  # twice, as srun and the shell may pass it on both
                process.send_signal(number)
                time.sleep(0.05)
    said, end = AGAIN[scheduler]
    assert process.returncode == (end if again else otherwise)
    assert (tmp_path / "again").exists() == (again and said is not None)
    assert not (again and said) or (tmp_path / "again").read_text() == said


def processes_of_session(leader: int) -> list[str]:
    """The commands of those that live."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = file.read_text(errors="replace").rpartition(")")
        except OSError:
            continue
        state, _, _, session, *_ = rest.split()
        if int(session) == leader and state not in "ZX":
            found.append(name)
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc which processes are there")
@pytest.mark.parametrize("end", ["by itself", "in time", "killed"])
def test_the_timer_of_pbs_warns_in_time_and_ends_with_its_script(tmp_path, end):
    command = (
        f"trap 'exit 75' TERM; echo ready > {tmp_path}/ready; {'sleep 30 & wait' if end == 'in time' else 'exit 0'}"
    )
    command = "exec sleep 1" if end == "killed" else command
    file, environment = written(tmp_path, "pbs", command, ("-t 14100;", "-t 1;" if end == "in time" else "-t 600;"))
    assert "read -r -t 14100;" in job_script(JobResources("pbs"), [["x"]], "name", "x.sh")
    with subprocess.Popen(["bash", str(file)], env=environment, start_new_session=True) as process:
        if end == "killed":
            wait_for(lambda: len(processes_of_session(process.pid)) == 3)
            process.kill()
    wait_for(lambda: not processes_of_session(process.pid))
    assert process.returncode == (-signal.SIGKILL if end == "killed" else 0)
    assert (tmp_path / "again").exists() == (end == "in time")


def test_an_array_runs_and_a_warned_job_goes_on(nnunet_folders, tmp_path, monkeypatch, capsys):
    """Two parts of a prediction, of which one is warned when it has begun; all cases are there at the end."""
    system = BatchSystem(tmp_path / "slurm")
    monkeypatch.setenv("PATH", str(system.folder), prepend=":")
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    for file in nnunet_folders.images.glob("case_0[0-3]_000[01]*"):
        shutil.copy2(file, images / file.name)
    flags = [
        "-d",
        "501",
        "-c",
        "3d_fullres",
        "-f",
        "0",
        "-device",
        "cpu",
        "--num_samples",
        "0",
        "-npp",
        "0",
    ]
    resources = ["--scheduler", "slurm", "--gpus", "0", "--cpus", "1"]
    assert main(["submit", *resources, "--parts", "2", "predict", "-i", "images", "-o", "out", *flags]) == 0
    assert "2 job(s)" in capsys.readouterr().out
    system.process_of(1)
    time.sleep(1)
    system.warn(1)
    assert system.codes(2, seconds=300) == [[0], [0, 0]]
    assert sorted(file.name for file in (tmp_path / "out").glob("*.nii.gz")) == [f"case_0{n}.nii.gz" for n in range(4)]
    assert sys.executable in (tmp_path / "nnunet_hetero_predict.sh").read_text()
