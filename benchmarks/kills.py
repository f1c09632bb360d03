"""What does a training lose that a scheduler stops? Trainings that are killed at random moments, and continued:

    python benchmarks/kills.py [--kills 20] [--signals KILL TERM USR1] [--out DIR] [--seed 0]

On a phantom data set a tiny network is trained on a CPU, undisturbed. Then it is trained anew in another folder, sent a
signal after a random time, continued by the same command (``nnunet_hetero train ... --auto-continue``), sent a signal
again, and so on until it is done; then anew, until there were as many kills of each kind as asked for. Every process is
forked from one that has imported everything, so that signals meet the training and not its imports.

Printed per training: how often it was killed, the exit codes, the steps that were taken twice, processes that were left
behind, and whether its final weights, optimiser, scores and log are those of the undisturbed training, bit for bit.
Ends with 1 if any of that is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # before torch is imported

from measuring.micro_dataset import CONFIGURATION, DATASET, PLANS, write_micro_dataset

from nnunet_hetero.nnunet.arguments import whole_number

TRAINER = "HeteroModalVAETrainer"
SETTINGS = {"num_epochs": 4, "num_iterations_per_epoch": 5, "num_val_iterations_per_epoch": 2, "seed": 5}
COMMAND = ["train", str(DATASET), CONFIGURATION, "0", "-tr", TRAINER, "-p", PLANS, "-device", "cpu", "--auto-continue"]
SIGNALS = ("KILL", "TERM", "USR1")


@dataclass
class Training:
    """One training with its interruptions.

    Args:
        signals: That were sent, in turn.
        codes: Exit codes of its processes.
        repeated: Training steps that were taken more than once.
        left: Processes that outlived theirs.
        differences: Parts of the final checkpoint that are not as in the undisturbed training.
    """

    signals: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    repeated: int = 0
    left: int = 0
    differences: list[str] = field(default_factory=list)


def start(log: Path) -> int:
    """Fork a process that runs the command; its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.setsid()
        with open(log, "a", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        from nnunet_hetero.cli.main import main

        code = main(COMMAND)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for child in multiprocessing.active_children():  # as at the end of a process that was not forked
            child.terminate()
            child.join()
        os._exit(code)


def wait(process: int, seconds: float | None = None) -> int | None:
    """Exit code of a process, negative for a signal; None if it is still there after so many seconds."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def processes_of_session(leader: int) -> list[int]:
    """Processes that a training has started and that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == leader and state not in "ZX":
                found.append(int(entry.name))
    return found


def train(results: Path, signals: list[str], longest: float, draw: random.Random) -> Training:
    """Train in a folder; as long as there are signals left, each process is sent the next after a random time.

    Args:
        results: Folder for ``nnUNet_results``.
        signals: To be sent; those that were are taken off the list.
        longest: Seconds within which an undisturbed training is done.
        draw: Where times are from.
    """
    os.environ |= {"nnUNet_results": str(results)}
    results.mkdir()
    training = Training()
    while True:
        process = start(results / "log.txt")
        code = wait(process, draw.uniform(0, longest)) if signals else wait(process)
        if code is None:
            kind = signals.pop()
            training.signals.append(kind)
            os.kill(process, getattr(signal, f"SIG{kind}"))
            code = wait(process, 60)
            if code is None:
                os.kill(process, signal.SIGKILL)
                raise SystemExit(f"A training did not end within a minute of SIG{kind}; see {results}/log.txt.")
        training.codes.append(code)
        deadline = time.monotonic() + 5
        while (left := processes_of_session(process)) and time.monotonic() < deadline:
            time.sleep(0.05)
        training.left += len(left)
        if code == 0:
            return training
        # The last two: before the command could hear it.
        if code not in (75, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1):
            raise SystemExit(f"A training ended with exit code {code}; see {results}/log.txt.")


def final(results: Path) -> dict[str, Any]:
    """What of the final checkpoint must be the same."""
    import torch

    (file,) = results.rglob("checkpoint_final.pth")
    checkpoint = torch.load(file, weights_only=False)
    ours = checkpoint["hetero_modal"]
    scores = json.loads((file.parent / "validation" / "summary.json").read_text(encoding="utf-8"))
    (best,) = results.rglob("checkpoint_best.pth")
    return {
        "weights": checkpoint["network_weights"],
        "optimiser": checkpoint["optimizer_state"],
        "epochs": checkpoint["current_epoch"],
        "best score": checkpoint["_best_ema"],
        "best weights": torch.load(best, weights_only=False)["network_weights"],
        "log": without_times(checkpoint["logging"]),
        "history": without_times(ours["history"]),
        "counts": ours["tally"],
        "streams": ours["streams"],
        "validation": [case["metrics"] for case in scores["metric_per_case"]],
    }


def without_times(values: dict) -> dict:
    """The values of a log that do not say when."""
    return {key: series for key, series in values.items() if "timestamp" not in key}


def same(one: Any, other: Any) -> bool:
    """Equality of nested values, bit for bit; NaN equals NaN."""
    import numpy as np
    import torch

    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, (float, np.ndarray, np.generic)):
        return bool(np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f"))
    return bool(one == other)


def count_steps(results: Path) -> int:
    """Training steps in a folder, all processes together; see `prepare_trainings`."""
    file = results / "steps.txt"
    return len(file.read_text(encoding="ascii").split()) if file.is_file() else 0


def prepare_trainings() -> None:
    """Import what they need and let every step leave a mark; no figures and no new interpreters, which take longer."""
    import torch
    from nnunetv2.paths import nnUNet_results
    from nnunetv2.run import run_training  # noqa: F401
    from nnunetv2.training.logging.nnunet_logger import LocalLogger

    from nnunet_hetero.cli.models import train  # noqa: F401
    from nnunet_hetero.training.hetero_trainer import HeteroTrainer
    from nnunet_hetero.training.interruption import launched  # noqa: F401
    from nnunet_hetero.training.record.history import History
    from nnunet_hetero.training.record.sample_counts import SampleCounts
    from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer  # noqa: F401

    torch.set_num_threads(1)
    torch.set_num_threads = lambda _: None  # nnU-Net's command takes all cores
    threads = SimpleNamespace(Pool=ThreadPool)  # of the validation after training
    multiprocessing.get_context = lambda _: threads
    LocalLogger.plot_progress_png = lambda *_: None
    History.draw = SampleCounts.draw = lambda *_: None

    original = HeteroTrainer.train_step

    def train_step(trainer: HeteroTrainer, batch: dict) -> dict:
        result = original(trainer, batch)
        with open(Path(nnUNet_results) / "steps.txt", "a", encoding="ascii") as file:
            file.write(f"{trainer.current_epoch}\n")
        return result

    HeteroTrainer.train_step = train_step


def lost_to(kind: str, training: Training) -> bool:
    """Whether a training lost more than it may: a step for each signal that it could hear, anything for SIGKILL."""
    return kind != "KILL" and training.repeated > len(training.signals)


def run(folder: Path, kills: int, kinds: Sequence[str], seed: int) -> int:
    """Write the data set, train undisturbed, twice, and disturbed, print; the exit code."""
    write_micro_dataset(folder, SETTINGS)
    prepare_trainings()
    draw = random.Random(seed)
    train(folder / "undisturbed", [], 0, draw)
    expected = final(folder / "undisturbed")
    steps = count_steps(folder / "undisturbed")
    begin = time.monotonic()
    train(folder / "again", [], 0, draw)
    longest = time.monotonic() - begin
    again = "equal" if same(final(folder / "again"), expected) else "NOT EQUAL"
    print(f"\nUndisturbed, twice: {again}, {longest:.1f} s, {steps} training steps.\n", flush=True)
    header = ("training", "signal", "kills", "exit codes", "steps twice", "left behind", "equal bit for bit")
    print(" | ".join(header), flush=True)
    failed, total = again != "equal", Counter[str]()
    for kind in kinds:
        waiting, number = [kind] * kills, 0
        while waiting:
            number += 1
            results = folder / f"{kind}_{number}"
            training = train(results, waiting, longest, draw)
            total[kind] += len(training.signals)
            training.repeated = count_steps(results) - steps
            found = final(results)
            training.differences = [part for part in expected if not same(expected[part], found[part])]
            bad = lost_to(kind, training) or training.left or training.differences
            failed |= bool(bad)
            codes = ", ".join(f"{code} x {count}" for code, count in Counter(training.codes).items())
            equal = "yes" if not training.differences else f"NO: {', '.join(training.differences)}"
            cells = (number, f"SIG{kind}", len(training.signals), codes, training.repeated, training.left, equal)
            print(" | ".join(map(str, cells)), flush=True)
    told = ", ".join(f"SIG{kind} {count}" for kind, count in total.items())
    print(f"\n{told} kill(s): {'something is not as it should be' if failed else 'all equal, nothing left behind'}.")
    return int(failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=whole_number(1), default=20, help="of each kind (default: %(default)s)")
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=SIGNALS)
    parser.add_argument("--out", type=Path, help="an empty folder that stays; default: a temporary one")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        return run(args.out.resolve(), args.kills, args.signals, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), args.kills, args.signals, args.seed)


if __name__ == "__main__":
    sys.exit(main())
