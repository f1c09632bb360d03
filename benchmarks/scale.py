"""What many cases cost: prediction, conversion and evaluation of tiny cases, here and on the workers of a cluster.

    python benchmarks/scale.py [--cases 20 200] [--workers 1 2] [--what predict evaluate convert] [--kill SECONDS]
    python benchmarks/scale.py --cases 2000 --workers 2 --no_plain       memory alone

Work is done by a plain run, of as many processes as there are workers (``predict`` and ``evaluate``: a command for each
part of the cases; ``convert``: ``-np``), and by ``nnunet_hetero map`` with that many workers. Every process has one
thread, on both sides; nnU-Net's command would take all cores in each. Printed for each number of cases: seconds by case
without those of the start (the second half of the cases, from the times at which their files appeared), processor
seconds by case (of all processes, their start included), the difference to the plain run by case and in per cent, the
peak memory of the largest process, and how much the memory of client and scheduler, which are one process, grew after
its first 200 cases. With ``--kill`` a worker is killed every so many seconds. At the end: whether the predictions are
those of the plain run, byte for byte but for timings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.tiny_model import TinyModel, write_case, write_tiny_model

from nnunet_hetero.nnunet.environment import set_ext_trainer

COMMAND = (sys.executable, "-m", "nnunet_hetero.cli.main")
_ONE_CORE = (
    "import multiprocessing, sys; multiprocessing.cpu_count = lambda: 1; "
    "from nnunet_hetero.cli.main import main; sys.exit(main())"
)
PLAIN = (sys.executable, "-c", _ONE_CORE)
"""The same command, which believes that the machine has one core."""

TIMINGS = ("seconds", "peak_memory_bytes")
RAW = "nnUNet_raw"
KINDS = 20  # different images; the others are copies
SETTLED = 200  # cases after which memory must not grow


@dataclass
class Measured:
    """One run.

    Args:
        seconds: From the begin to the end.
        rate: Seconds by case over the second half of the cases.
        processor: Seconds of all processes.
        memory: Bytes of the command and of its processes, by the number of cases that were done: (done, own, largest).
        killed: Workers that were killed.
    """

    seconds: float = 0.0
    rate: float = 0.0
    processor: float = 0.0
    memory: list[tuple[int, int, int]] = field(default_factory=list)
    killed: int = 0

    def growth(self) -> float | None:
        """Of the command's own memory since `SETTLED` cases were done, as a share; None with fewer cases."""
        settled = [own for done, own, _ in self.memory if done >= SETTLED]
        return max(settled) / settled[0] - 1 if len(settled) > 1 else None

    def largest(self) -> float:
        """Peak of one of its processes, in MB."""
        return max((largest for *_, largest in self.memory), default=0) / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", type=int, default=[20, 200])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--what", nargs="+", choices=("predict", "evaluate", "convert"), default=["predict"])
    parser.add_argument("--kill", type=float, metavar="SECONDS", help="Kill a worker of 'map predict' that often.")
    parser.add_argument("--no_plain", action="store_true", help="Only 'map'.")
    parser.add_argument("--folder", type=Path, help="Where to work; it stays. Default: a temporary one.")
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "nnUNet_def_n_proc": "2"}
    set_ext_trainer()
    place = args.folder or Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        for number in args.cases:
            work = Work(place / str(number), number)
            for what in args.what:
                for workers in args.workers:
                    report(work, what, workers, args.kill, not args.no_plain)
    finally:
        if args.folder is None:
            shutil.rmtree(place)


def report(work: Work, what: str, workers: int, kill: float | None, with_plain: bool) -> None:
    """Do one piece of work both ways, or by ``map`` alone, and print a line for each."""
    here, there = work.folder / f"{what}-{workers}-plain", work.folder / f"{what}-{workers}-map"
    print(f"\n{what}, {work.number} cases, {workers} process(es)", flush=True)
    plain = run(work.plain(what, here, workers), here, what, work.number) if with_plain else None
    if plain is not None:
        tell("plain", plain, work.number)
    mapped = run([work.mapped(what, there, workers)], there, what, work.number, kill)
    tell("map", mapped, work.number)
    if kill:
        print(f"  {mapped.killed} workers killed")
    if plain is not None:
        difference = mapped.rate - plain.rate
        print(
            f"  map costs {difference:+.3f} s by case, {100 * difference / plain.rate:+.1f} % (bar: 5 % + 0.1 s = "
            f"{0.05 * plain.rate + 0.1:.3f} s)"
        )
        if what == "predict":
            compare(contents(here), contents(there))
    sys.stdout.flush()


def tell(name: str, found: Measured, cases: int) -> None:
    """Print what one run cost."""
    growth = found.growth()
    grown = "" if growth is None else f", the command's own grows by {100 * growth:.1f} % after {SETTLED} cases"
    print(
        f"  {name:<6}{found.seconds:8.1f} s in all {found.rate:8.3f} s by case {found.processor / cases:8.3f} "
        f"processor s by case   largest process {found.largest():6.0f} MB{grown}",
        flush=True,
    )


def compare(one: dict[str, str], other: dict[str, str]) -> None:
    """Print which files of two folders differ."""
    differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    print(f"  files: {len(one)} and {len(other)}, differing: {', '.join(differing[:5]) or 'none'}")


class Work:
    """Cases on the disk, and the commands that do something with them.

    Args:
        folder: Where they go.
        number: How many.
    """

    def __init__(self, folder: Path, number: int):
        self.folder, self.number = folder, number
        self.images, self.labels, self.raw = folder / "images", folder / "labels", folder / "raw"
        if folder.exists():
            shutil.rmtree(folder)
        self.model: TinyModel = write_tiny_model(folder / "model", folds=(0,), cases=["a", "b"])
        self.labels.mkdir()
        for case in range(number):
            name = f"case_{case:05d}"
            if case < KINDS:
                write_case(self.images, name, seed=case, labels=self.labels)
                continue
            like = f"{case % KINDS:05d}"
            for file in (*self.images.glob(f"case_{like}_*"), self.labels / f"case_{like}.nii.gz"):
                shutil.copyfile(file, file.with_name(file.name.replace(like, f"{case:05d}")))

    def plain(self, what: str, output: Path, workers: int) -> list[list[str]]:
        """Commands that run at a time: one for each worker where a command has parts."""
        if what == "convert":
            return [[*PLAIN, "convert", *self._flags(what, output), "-np", str(workers)]]
        parts = [self._part(part, workers) for part in range(workers)]
        if what == "predict":
            return [[*PLAIN, "predict", *self._flags(what, output, part), "-npp", "0", "-nps", "0"] for part in parts]
        # Two evaluations may not write into one folder.
        return [[*PLAIN, "evaluate", *self._flags(what, output / part.name, part)] for part in parts]

    def _part(self, part: int, parts: int) -> Path:
        """A folder with every so manieth case; nnU-Net's own parts need a background process each."""
        folder = self.folder / f"images-{part}-of-{parts}"
        if not folder.exists():
            folder.mkdir()
            for file in self.images.iterdir():
                if int(file.name.split("_")[1]) % parts == part:
                    (folder / file.name).symlink_to(file)
        return folder

    def mapped(self, what: str, output: Path, workers: int) -> list[str]:
        """The command of ``map``."""
        return [*COMMAND, "map", what, "--cluster", "local", "--workers", str(workers), *self._flags(what, output)]

    def _flags(self, what: str, output: Path, images: Path | None = None) -> list[str]:
        os.environ |= self.model.environment()
        if what == "convert":
            if not self.raw.exists():
                subprocess.run(
                    [*COMMAND, "convert", "phantom", "-o", str(self.raw), "--size", "24", "--cases", str(self.number)],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
            output.mkdir(parents=True, exist_ok=True)
            os.environ[RAW] = str(output)
            return ["brats", "-i", str(self.raw), "-d", "502"]
        places = ["-i", str(images or self.images), "-o", str(output)]
        places += ["-d", "501", "-c", "3d_fullres", "-device", "cpu"]
        more = ["-l", str(self.labels), "--subsets", "T1+T2"] if what == "evaluate" else ["-f", "0"]
        return [*places, "--disable_tta", "--num_samples", "0", *more]


def run(commands: Sequence[Sequence[str]], output: Path, what: str, number: int, kill: float | None = None) -> Measured:
    """Run commands at a time, and watch them."""
    found, start, before = Measured(), time.monotonic(), os.times()
    processes = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for words in commands]
    ended = threading.Event()
    threads = [threading.Thread(target=_watch, args=(found, processes, output, what, ended))]
    if kill:
        threads.append(threading.Thread(target=_kill, args=(found, processes[0].pid, kill, ended)))
    for thread in threads:
        thread.start()
    said = [process.communicate()[1] for process in processes]
    found.seconds, after = time.monotonic() - start, os.times()
    found.processor = sum(after[2:4]) - sum(before[2:4])  # of processes that were waited for
    ended.set()
    for thread in threads:
        thread.join()
    for process, words in zip(processes, said, strict=True):
        if process.returncode:
            raise SystemExit(f"{' '.join(commands[0])}\nended with {process.returncode}:\n{words.decode()[-2000:]}")
    times = sorted(file.stat().st_mtime for file in files_of_cases(output, what))
    half = len(times) // 2
    found.rate = (times[-1] - times[half]) / (len(times) - 1 - half)
    if len(times) != number:
        raise SystemExit(f"{number} cases, {len(times)} results in {output}, {found.killed} workers killed")
    return found


def files_of_cases(output: Path, what: str) -> list[Path]:
    """A file for each case that is done."""
    pattern = {"predict": "case_*.nii.gz", "evaluate": "**/snapshots/*.npz", "convert": "*/labelsTr/*.nii.gz"}[what]
    return list(output.glob(pattern))


def _watch(
    found: Measured, processes: Sequence[subprocess.Popen], output: Path, what: str, ended: threading.Event
) -> None:
    while not ended.wait(1.0):
        own = [resident(process.pid) for process in processes]
        below = [resident(pid) for process in processes for pid in descendants(process.pid)]
        found.memory.append((len(files_of_cases(output, what)), max(own), max([*own, *below])))


def _kill(found: Measured, command: int, seconds: float, ended: threading.Event) -> None:
    while not ended.wait(seconds):
        workers = [pid for pid in descendants(command) if b"spawn_main" in arguments_of(pid)]
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
            found.killed += 1


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    found: list[int] = []
    for file in Path("/proc").glob(f"{pid}/task/*/children"):
        try:
            children = [int(child) for child in file.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def resident(pid: int) -> int:
    """Bytes in memory; 0 for a process that has ended."""
    try:
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def arguments_of(pid: int) -> bytes:
    """The command line; empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def contents(folder: Path) -> dict[str, str]:
    """Digest of each file; of run.json and of the arguments without what two runs may differ in."""
    found = {}
    for file in sorted(folder.rglob("*")):
        content = file.read_bytes() if file.is_file() else b""
        if file.name == "predict_from_raw_data_args.json":
            continue  # it names the folders
        if file.name == "run.json":
            run_of = json.loads(content)
            for case in run_of["cases"].values():
                for key in TIMINGS:
                    case.pop(key, None)
            content = json.dumps(run_of).encode()
        found[str(file.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


if __name__ == "__main__":
    main()
