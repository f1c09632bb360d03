"""The script of a job array for SLURM, LSF or PBS, which stops in time and is queued again until all is done.

The batch system warns a job before its time is up. The script passes that on to the command as SIGTERM, upon which a
training writes its checkpoint; then it asks for the job to be queued again. A job whose node fails, or that makes way
for another, is queued again by the batch system itself; one that its user ends is not.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.cluster.job_environment import environment_lines
from nnunet_hetero.cluster.resources import JobResources
from nnunet_hetero.training.interruption.stop_signals import STOPPED

WARNING = 5
"""Minutes between the warning and the end."""

TASK = {
    "slurm": "$SLURM_ARRAY_TASK_ID",
    "lsf": "$((LSB_JOBINDEX - 1))",  # counted from 1
    "pbs": "$PBS_ARRAY_INDEX",
}

_BODY = """\
# The warning before the end of the time (USR1), or an end that someone wants (TERM): the command may finish its step.
asked=0 warned=0 ended=0
trap 'warned=1; asked=$((asked + 1)); kill -TERM "$child" 2> /dev/null' USR1
trap 'ended=1; asked=$((asked + 1)); kill -TERM "$child" 2> /dev/null' TERM INT
"$@" {close}&
child=$!
seen=-1
while [ "$seen" -ne "$asked" ]; do # a signal ends the waiting, not the command
    seen=$asked
    code=0
    wait "$child" || code=$?
done
if [ "$ended" -eq 1 ] && [ "$warned" -eq 0 ] && [ "$code" -eq {stopped} ]; then
    exit 143 # by which no one queues it again
fi
if [ "$code" -ne 0 ] && {{ [ "$warned" -eq 1 ] || [ "$code" -eq {stopped} ]; }}; then
    {again}
fi
exit "$code"
"""

_NO_TASK = '*) echo "there is no task $task" >&2; exit 2 ;;'

_PBS_TIMER = """\
# PBS gives no warning of its own. The timer ends with this script, which holds the other end of its pipe.
exec 3> >(read -r -t {seconds}; if [ $? -gt 128 ]; then kill -USR1 $$; fi)
"""


def job_script(resources: JobResources, tasks: Sequence[Sequence[str]], name: str, file: str) -> str:
    """The text of a script.

    Args:
        resources: Of each job.
        tasks: Commands of ours, one for each job of the array.
        name: Of the array.
        file: Where the script is going to lie; PBS is told so when a job is queued again.
    """
    headers = {"slurm": _slurm, "lsf": _lsf, "pbs": _pbs}[resources.scheduler](resources, len(tasks), name)
    python = f"{shlex.quote(sys.executable)} -m nnunet_hetero.cli.main"
    cases = [f"{number}) set -- {python} {shlex.join(task)} ;;" for number, task in enumerate(tasks)]
    return "\n".join(
        [
            "#!/bin/bash",
            *headers,
            "",
            f"cd {shlex.quote(os.getcwd())} || exit 1",
            *environment_lines(resources.cpus),
            *resources.setup,
            "",
            f"task={TASK[resources.scheduler]}",
            'case "$task" in',
            *cases,
            _NO_TASK,
            "esac",
            "",
            _timer(resources) + _body(resources.scheduler, file),
        ]
    )


def is_job_script(file: Path) -> bool:
    """Whether a file is a script that `job_script` wrote."""
    return _NO_TASK in file.read_text(encoding="utf-8", errors="replace")


def _body(scheduler: str, file: str) -> str:
    close = "3>&- " if scheduler == "pbs" else ""  # the timer's pipe
    return _BODY.format(close=close, stopped=STOPPED, again=_again(scheduler, file))


def _again(scheduler: str, file: str) -> str:
    """What queues a job again."""
    if scheduler == "slurm":
        return 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && exit 0'
    if scheduler == "lsf":
        return f"exit {STOPPED} # -Q: LSF queues it again"
    # A range of one index: PBS takes none whose ends are equal.
    return f'qsub -J "$task-$((task + 1)):2" {shlex.quote(file)} && exit 0'


def _timer(resources: JobResources) -> str:
    if resources.scheduler != "pbs":
        return ""
    return _PBS_TIMER.format(seconds=60 * max(1, resources.walltime - WARNING))


def _warning(resources: JobResources) -> int:
    """Minutes between the warning and the end."""
    return min(WARNING, max(1, resources.walltime - 1))


def _slurm(resources: JobResources, number: int, name: str) -> list[str]:
    directives = [
        f"--job-name={name}",
        f"--array=0-{number - 1}",
        *([shlex.quote(f"--partition={resources.queue}")] if resources.queue else []),
        *([shlex.quote(f"--account={resources.account}")] if resources.account else []),
        f"--time={_hours(resources.walltime)}:00",
        "--ntasks=1",
        f"--cpus-per-task={resources.cpus}",
        f"--mem={resources.memory}M",
        *([f"--gres=gpu:{resources.gpus}"] if resources.gpus else []),
        shlex.quote(f"--output={resources.log_directory}/%x-%A_%a.out"),
        "--open-mode=append",
        f"--signal=B:USR1@{60 * _warning(resources)}",
        "--requeue",
        *resources.directives,
    ]
    return [f"#SBATCH {directive}" for directive in directives]


def _lsf(resources: JobResources, number: int, name: str) -> list[str]:
    directives = [
        f'-J "{name}[1-{number}]"',
        *([f"-q {shlex.quote(resources.queue)}"] if resources.queue else []),
        *([f"-P {shlex.quote(resources.account)}"] if resources.account else []),
        f"-W {_hours(resources.walltime)}",
        f"-n {resources.cpus}",
        '-R "span[hosts=1]"',
        f"-M {resources.memory}MB",
        *([f'-gpu "num={resources.gpus}"'] if resources.gpus else []),
        f"-o {shlex.quote(f'{resources.log_directory}/{name}-%J_%I.out')}",
        "-wa USR1",
        f"-wt {_warning(resources)}",
        "-r",
        f'-Q "{STOPPED}"',
        *resources.directives,
    ]
    return [f"#BSUB {directive}" for directive in directives]


def _pbs(resources: JobResources, number: int, name: str) -> list[str]:
    # An array of one: PBS takes no range whose ends are equal.
    span = f"0-{number - 1}" if number > 1 else "0-1:2"
    gpus = f":ngpus={resources.gpus}" if resources.gpus else ""
    directives = [
        f"-N {name}",
        f"-J {span}",
        *([f"-q {shlex.quote(resources.queue)}"] if resources.queue else []),
        *([f"-A {shlex.quote(resources.account)}"] if resources.account else []),
        f"-l select=1:ncpus={resources.cpus}:mem={resources.memory}mb{gpus}",
        f"-l walltime={_hours(resources.walltime)}:00",
        f"-o {shlex.quote(f'{resources.log_directory}/')}",
        "-j oe",
        "-r y",
        *resources.directives,
    ]
    return [f"#PBS {directive}" for directive in directives]


def _hours(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
