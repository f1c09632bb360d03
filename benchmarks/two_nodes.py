"""Does a training on several nodes hold together? Two "nodes" on this machine, each with its own torchrun:

    python benchmarks/two_nodes.py [--out DIR]

Both train one tiny network on a phantom data set, by Gloo over 127.0.0.1, once undisturbed and once with a process that
is killed (SIGKILL) in the middle; torchrun then starts all of them anew, and they go on from the checkpoint.

Printed: exit codes, whether all ranks ended with the same weights, whether they drew different subsets, whether there
is one set of files, and whether the disturbed training ended with the weights of the undisturbed one. Ends with 1 if
not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # before torch is imported

NODES = 2
SETTINGS = {"num_epochs": 4, "num_iterations_per_epoch": 3, "num_val_iterations_per_epoch": 2, "seed": 5}
PLANS = "nnUNetPlansMicro"
TRAIN = ["train", "501", "3d_fullres", "0", "-p", PLANS, "-device", "cpu"]
DRAWS = 5
"""Steps after which a process is killed: in the second epoch, so that there is a checkpoint to go on from."""

VICTIM = "TWO_NODES_VICTIM"
"""The variable that names a file to a process that is to be killed: once the file is there, it has been."""

LAST_LINES = 40
"""Of each node's output, shown if something does not hold."""

LONGEST = 900.0
"""Seconds after which a training is given up."""


def start_nodes(results: Path, restarts: int, victim: int | None = None) -> list[subprocess.Popen]:
    """One torchrun per node, with the command of a rank; their output goes to ``node_N.log``.

    Args:
        results: A new folder, for models and notes.
        restarts: How often torchrun may start all anew.
        victim: The node whose process kills itself once.
    """
    results.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(NODES), "--nproc-per-node", "1"]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1"]
    command = [*launcher, *meeting, "--max-restarts", str(restarts), "--monitor-interval", "0.5"]
    environment = {**os.environ, "nnUNet_results": str(results), "GLOO_SOCKET_IFNAME": "lo"}
    nodes = []
    for number in range(NODES):
        with open(results / f"node_{number}.log", "wb") as log:
            run = [*command, str(Path(__file__).resolve()), "--as-rank", *TRAIN]
            own = {VICTIM: str(results / "killed")} if number == victim else {}
            nodes.append(subprocess.Popen(run, env=environment | own, stdout=log, stderr=log))
    return nodes


def wait(nodes: Sequence[subprocess.Popen]) -> list[int]:
    """Exit codes of all nodes; those that take too long are ended."""
    deadline = time.monotonic() + LONGEST
    for node in nodes:
        try:
            node.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            node.terminate()
    return [node.wait() for node in nodes]


def act_as_rank(arguments: list[str]) -> int:
    """Train, and note at the end which weights this rank has and what it drew."""
    from nnunetv2.paths import nnUNet_results
    from nnunetv2.training.logging.nnunet_logger import LocalLogger

    from nnunet_hetero.cli.main import main
    from nnunet_hetero.subset_sampling import SubsetSampler
    from nnunet_hetero.training.hetero_trainer import HeteroTrainer
    from nnunet_hetero.training.interruption.validation_progress import hash_of
    from nnunet_hetero.training.record.history import History
    from nnunet_hetero.training.record.sample_counts import SampleCounts

    LocalLogger.plot_progress_png = lambda *_: None
    History.draw = SampleCounts.draw = lambda *_: None
    drawn: list[list] = []
    victim = os.environ.get(VICTIM)
    draw, end = SubsetSampler.draw, HeteroTrainer.on_train_end

    def noting_draw(sampler: SubsetSampler, present: Any) -> Any:
        found = draw(sampler, present)
        drawn.append(found.tolist())
        if victim and len(drawn) == DRAWS and not Path(victim).exists():
            Path(victim).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def noting_end(trainer: HeteroTrainer) -> None:
        end(trainer)
        notes = {"weights": hash_of(trainer.unwrapped_network), "drawn": drawn}
        name = f"rank_{trainer.ranks.number}.json"
        (Path(nnUNet_results) / name).write_text(json.dumps(notes), encoding="ascii")

    SubsetSampler.draw, HeteroTrainer.on_train_end = noting_draw, noting_end
    return main(arguments)


def notes_of(results: Path) -> list[dict]:
    """What the ranks have noted."""
    return [json.loads(file.read_text(encoding="ascii")) for file in sorted(results.glob("rank_*.json"))]


def run(folder: Path) -> int:
    """Train with two nodes, undisturbed and disturbed, and compare; the exit code."""
    from measuring.micro_dataset import write_micro_dataset

    write_micro_dataset(folder, SETTINGS)
    together, killed = folder / "together", folder / "killed"
    codes = wait(start_nodes(together, 0))
    notes = notes_of(together)
    codes_killed, notes_killed = wait(start_nodes(killed, 3, victim=1)), notes_of(killed)
    weights = [note["weights"] for note in (*notes, *notes_killed)]
    finals = [list(results.rglob("checkpoint_final.pth")) for results in (together, killed)]
    logs = list(together.rglob("training_log*.txt"))
    found = {
        "undisturbed, both nodes end with 0": codes == [0] * NODES,
        "all ranks have the same weights": len(notes) == NODES and len({note["weights"] for note in notes}) == 1,
        "they drew different subsets": len({json.dumps(note["drawn"]) for note in notes}) == NODES,
        "there is one set of files": [len(files) for files in finals] == [1, 1] and len(logs) == 1,
        "a process was killed with SIGKILL": (killed / "killed").exists(),
        "all went on by themselves, both nodes end with 0": codes_killed == [0] * NODES,
        "the weights are those of the undisturbed training": len(weights) == 2 * NODES and len(set(weights)) == 1,
    }
    for what, holds in found.items():
        print(f"{'yes' if holds else 'NO '}  {what}", flush=True)
    if all(found.values()):
        return 0
    for log in sorted(folder.glob("*/node_*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"\n{log}:", *lines[-LAST_LINES:], sep="\n", file=sys.stderr)
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Read the arguments and run, as the command or as one of its ranks."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["--as-rank"]:
        return act_as_rank(arguments[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="an empty folder that stays; default: a temporary one")
    args = parser.parse_args(arguments)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        return run(args.out.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
