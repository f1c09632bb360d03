"""``nnunet_hetero submit``: a command as a job array of a batch system, without Dask."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.arguments import whole_number

PASS_THROUGH = True

MOST_JOBS = 100_000
"""Of an array. No batch system takes as many as it comes: SLURM 1001, LSF 1000, PBS 10 000."""

HELP = """\
Write a job array and submit it: a job for each fold and plans of 'train', for each fold of 'evaluate', or for each part
of the cases of 'predict'.

  nnunet_hetero submit --scheduler slurm --queue gpu train 501 3d_fullres 0 1 2 3 4
  nnunet_hetero submit --scheduler slurm --queue gpu --parts 20 predict -i IN -o OUT -d 501 -c 3d_fullres

A job that is warned of its end stops in time, is queued again and goes on. So are jobs whose node fails. Flags of
submit come before the command."""


def parser_of_submission() -> argparse.ArgumentParser:
    """The flags that say where and how."""
    parser = argparse.ArgumentParser(
        prog="nnunet_hetero submit", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scheduler", metavar="NAME", help="slurm, lsf or pbs. Default: that of --resources.")
    parser.add_argument("--resources", metavar="YAML", help="A file with what follows, as of 'map --cluster'.")
    parser.add_argument("--queue", help="Queue, or partition.")
    parser.add_argument("--account", help="Whom it is charged to.")
    parser.add_argument("--walltime", metavar="HH:MM:SS", help="Limit of each job. Default: 04:00:00")
    parser.add_argument("--memory", help="Of each job, e.g. 32GB. Default: 16GB")
    parser.add_argument("--cpus", type=whole_number(1), metavar="N", help="Cores of each job. Default: 4")
    parser.add_argument("--gpus", type=whole_number(), metavar="N", help="GPUs of each job. Default: 1")
    parser.add_argument(
        "--setup", action="append", metavar="LINE", help="A line of shell to run first; may be given several times."
    )
    parser.add_argument(
        "--directive",
        action="append",
        dest="directives",
        metavar="FLAG",
        help="Another flag of the batch system, e.g. --directive=--constraint=a100; may be given several times.",
    )
    parser.add_argument("--log_directory", metavar="FOLDER", help="For the jobs' output. Default: logs")
    parser.add_argument(
        "--parts", type=whole_number(1, MOST_JOBS), metavar="N", help="Jobs that 'predict' is divided into."
    )
    parser.add_argument(
        "--script", metavar="FILE", help="Where the script is written. Default: nnunet_hetero_COMMAND.sh"
    )
    parser.add_argument(
        "--print", action="store_true", help="Print the script; look at nothing, write and submit nothing."
    )
    parser.add_argument("command", metavar="COMMAND", help="train, predict or evaluate.")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="Its own flags.")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the script and hand it to the batch system.

    Raises:
        SettingsError: If the batch system is not there or does not take it, or each job would refuse its arguments.
    """
    from nnunet_hetero.cli.cluster.beforehand import require_possible
    from nnunet_hetero.cluster.job_array import tasks_of
    from nnunet_hetero.cluster.job_script import is_job_script, job_script
    from nnunet_hetero.cluster.resources import SUBMIT_COMMANDS, JobResources, read_cluster_file
    from nnunet_hetero.io.atomic_files import replace_text
    from nnunet_hetero.io.places import require_replaceable

    found = parser_of_submission().parse_args(args.arguments)
    values = {} if found.resources is None else read_cluster_file(Path(found.resources))
    given = {name: value for name, value in vars(found).items() if name in JobResources.names() and value is not None}
    resources = JobResources.of({**values, **given}, found.resources or "submit")
    tasks = tasks_of(found.command, found.arguments, found.parts)
    name = f"nnunet_hetero_{found.command}"
    file = Path(found.script or f"{name}.sh").absolute()
    script = job_script(resources, tasks, name, str(file))
    if found.print:
        print(script)
        return 0
    command = SUBMIT_COMMANDS[resources.scheduler]
    if shutil.which(command) is None:
        raise SettingsError(f"There is no '{command}' here. Submit on a machine that has it; --print shows the script.")
    require_replaceable(file, is_job_script, "a script of 'nnunet_hetero submit'")
    require_possible(found.command, [words for _, *words in tasks])
    if resources.scheduler == "pbs" and file.exists() and file.read_text(encoding="utf-8", errors="replace") != script:
        raise SettingsError(
            f"{file} is there already, with other jobs in it; those that have not ended are queued again by this file. "
            "Name another one with --script, or remove it."
        )
    os.makedirs(resources.log_directory, exist_ok=True)
    replace_text(file, script)
    with file.open("rb") as stream:  # bsub reads the script from its input
        words = [command] if resources.scheduler == "lsf" else [command, str(file)]
        done = subprocess.run(words, stdin=stream, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"'{command}' does not take {file}: {(done.stderr or done.stdout).strip()}")
    print(f"{len(tasks)} job(s), by {file}\n{done.stdout.strip()}")
    return 0
