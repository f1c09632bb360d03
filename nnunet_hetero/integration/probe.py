"""Imports the heavy libraries and looks our trainers up, in a process of its own that may die of it.

Run as ``python -m nnunet_hetero.integration.probe``. Each stage prints one line, `MARK` and JSON, as soon as it is
known; stages that a crash prevented are not there. `run_probe` is the other end.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from nnunet_hetero.nnunet.environment import EXT_TRAINER, OUR_TRAINERS, ext_trainer_value

MARK = "@nnunet_hetero_probe "
LIBRARIES = ("dynamic_network_architectures", "batchgenerators", "batchgeneratorsv2", "acvl_utils")
TIME_LIMIT = 600  # seconds; the imports take minutes on a cold network file system


def torch_pair() -> dict[str, Any]:
    """Versions of torch and torchvision, once their compiled parts were loaded together."""
    import torch
    import torchvision.ops

    # Where the pair does not match, this operator does not exist.
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return {"torch": torch.__version__, "torchvision": torchvision.__version__}


def libraries() -> dict[str, Any]:
    """Import what nnU-Net and we are built on."""
    for name in LIBRARIES:
        importlib.import_module(name)
    return {"imported": list(LIBRARIES)}


def trainers() -> dict[str, Any]:
    """Look each of our trainers up twice, as nnU-Net does it."""
    os.environ[EXT_TRAINER] = ext_trainer_value(os.environ.get(EXT_TRAINER))
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    for name in OUR_TRAINERS:
        with contextlib.redirect_stdout(io.StringIO()):
            found, again = (recursive_find_trainer_class_by_name(name) for _ in range(2))
        if found is not again or pickle.loads(pickle.dumps(found)) is not found:
            raise RuntimeError(f"{name} is another class at each look-up (found in {found.__module__})")
    return {"found": list(OUR_TRAINERS)}


def device() -> dict[str, Any]:
    """The device that training would run on, and its free and total memory in bytes (None where unknown)."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return {"kind": "cuda", "name": torch.cuda.get_device_name(), "free": free, "total": total}
    if torch.backends.mps.is_available():
        return {"kind": "mps", "name": "Apple GPU", "free": None, "total": None}
    return {"kind": "cpu", "name": f"{os.cpu_count()} cores", **_main_memory()}


def _main_memory() -> dict[str, int | None]:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            pairs = dict(line.split(":", 1) for line in lines)
        kilobytes = {key: int(rest.split()[0]) for key, rest in pairs.items()}
        return {"free": kilobytes["MemAvailable"] * 1024, "total": kilobytes["MemTotal"] * 1024}
    except OSError:  # not Linux
        return {"free": None, "total": None}


STAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": torch_pair,
    "libraries": libraries,
    "trainers": trainers,
    "device": device,
}


def main() -> None:
    """Run all stages and print what each found."""
    for name, stage in STAGES.items():
        try:
            outcome = {"stage": name, **stage()}
        except Exception as error:  # whatever an installation may be broken by
            outcome = {"stage": name, "error": f"{type(error).__name__}: {error}"}
        print(f"\n{MARK}{json.dumps(outcome)}", flush=True)


def run_probe() -> dict[str, dict[str, Any]]:
    """Run the probe in a process of its own.

    Returns:
        What each stage found, by the stage's name; a stage with the key ``error`` did not work.
    """
    try:
        process = subprocess.run(
            [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
        output, end = process.stdout, f"the process ended with code {process.returncode}: {process.stderr[-500:]}"
    except subprocess.TimeoutExpired:
        output, end = "", f"no answer within {TIME_LIMIT} s"
    lines = [line.removeprefix(MARK) for line in output.splitlines() if line.startswith(MARK)]
    outcomes = {outcome["stage"]: outcome for outcome in map(json.loads, lines)}
    return {name: outcomes.get(name, {"stage": name, "error": end.strip()}) for name in STAGES}


if __name__ == "__main__":
    main()
