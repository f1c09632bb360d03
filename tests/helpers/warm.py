"""Commands whose process has torch imported already: a fork of one that has done nothing else.

A command imports torch, and what nnU-Net needs besides, for longer than it works on a few tiny cases. A test of what
many commands do one after the other runs them here; a test of how one starts must not. What is forked has imported
others' libraries alone: each command imports nnU-Net's modules and ours itself. And it has no threads and has not begun
to work: the fork of a process that has may wait forever for a lock that one of its threads held.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from multiprocessing import forkserver, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LIBRARIES = (
    *("torch", "torch._dynamo", "pandas", "scipy.ndimage", "scipy.stats", "skimage.measure", "skimage.transform"),
    *("matplotlib.pyplot", "seaborn", "nibabel", "SimpleITK", "blosc2", "monai.metrics", "cc3d", "pydantic", "jinja2"),
    *("batchgenerators.dataloading.multi_threaded_augmenter", "batchgeneratorsv2.transforms.spatial.spatial"),
    *("dynamic_network_architectures.architectures.unet", "pytest"),
)
"""One that is not there is left out."""

STEPS = "nnunet_hetero.demo.steps"
"""What runs the commands of the demo and of the benchmarks."""

SECONDS = 1200.0
"""For a command, with all that it runs; half of it for one that it runs. Then it says where it stands, and ends."""


def run_warm(words: Sequence[object], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`, with what it printed, of a command of this environment or a script of Python.

    The commands that it runs by `Steps` are warm too, and so are the processes that it would spawn.

    Args:
        words: ``nnunet_hetero ...``, ``nnUNetv2_train ...``, or `sys.executable` with ``-m MODULE``, ``-c`` or a file.
        env: Its environment variables.
    """
    multiprocessing.set_forkserver_preload(list(LIBRARIES))
    words = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        process = _started(words, env, *outputs, seconds=SECONDS)
        process.join()
        return subprocess.CompletedProcess(words, process.exitcode or 0, *(file.read_text("utf-8") for file in outputs))


class _Warm:
    """What `Steps` needs of `subprocess.Popen`: both outputs as one, lines when the command has ended."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], **others: Any):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self._output = Path(file.name)
        self._process = _started(words, env, self._output, self._output, seconds=SECONDS / 2)

    @property
    def stdout(self) -> list[str]:
        self._process.join()
        lines = self._output.read_text("utf-8", errors="replace").splitlines(keepends=True)
        self._output.unlink()
        return lines

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode


def _started(words: Sequence[str], env: Mapping[str, str], stdout: Path, stderr: Path, seconds: float) -> BaseProcess:
    arguments = (list(words), dict(env), os.getcwd(), str(stdout), str(stderr), seconds)
    process = multiprocessing.get_context("forkserver").Process(target=_command, args=arguments)
    process.start()
    return process


def _command(words: list[str], env: dict[str, str], folder: str, stdout: str, stderr: str, seconds: float) -> None:
    """Become this command."""
    for number, file in ((1, stdout), (2, stderr)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    multiprocessing.cpu_count = lambda: 1  # as in all tests
    contexts = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: contexts("forkserver" if method == "spawn" else method)
    sys.modules.pop(STEPS, None)
    pipes = {name: getattr(subprocess, name) for name in ("PIPE", "STDOUT", "DEVNULL")}
    importlib.import_module(STEPS).subprocess = SimpleNamespace(Popen=_Warm, **pipes)
    _serve_forks_of_now()
    faulthandler.dump_traceback_later(seconds, exit=True)  # a fork of this process could not do it once more
    program, *sys.argv[1:] = words
    sys.argv[0] = program
    if program != sys.executable:
        (entry,) = metadata.entry_points(group="console_scripts", name=Path(program).name)
        sys.exit(entry.load()())
    if words[1] == "-m":
        sys.argv[:] = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    elif words[1] == "-c":
        sys.argv[:] = ["-c", *words[3:]]
        exec(words[2], {"__name__": "__main__"})
    else:
        sys.argv[:] = words[1:]
        sys.path.insert(0, str(Path(words[1]).parent))
        runpy.run_path(words[1], run_name="__main__")


def _serve_forks_of_now() -> None:
    """Let the fork server of this process be a fork of it as it is now, with its environment, instead of a new one."""
    multiprocessing.set_forkserver_preload([])
    spawnv_passfds, util.spawnv_passfds = util.spawnv_passfds, _forked_to_serve
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = spawnv_passfds


def _forked_to_serve(_program: str, words: Sequence[bytes | str], passed: Sequence[int]) -> int:
    """In place of `multiprocessing.util.spawnv_passfds`: the id of a fork that runs the code of the last word."""
    if child := os.fork():
        return child
    try:
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            with contextlib.suppress(OSError):  # the one by which they were listed
                if descriptor not in passed and not os.get_inheritable(descriptor):
                    os.close(descriptor)
        importlib.reload(forkserver)  # its lock is held where the fork was made
        exec(words[-1], {})
    finally:
        os._exit(0)
