"""The checks of ``nnunet_hetero doctor``: what an installation needs, what was found, how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.version import Version

from nnunet_hetero.errors import HeteroError, SettingsError
from nnunet_hetero.integration.activation import activation_files
from nnunet_hetero.integration.probe import run_probe
from nnunet_hetero.nnunet.environment import EXT_TRAINER, is_in_ext_trainer
from nnunet_hetero.nnunet.folders import NUMBERS, dataset_folders, problem_with_folder, require_numbers
from nnunet_hetero.nnunet.versions import problem_with, requirements

OK, WARN, FAIL = "ok", "warn", "fail"
PREDICT_COMMAND = "nnUNetv2_predict"
PREDICT_TARGET = "nnunetv2.inference.predict_from_raw_data:predict_entry_point"
GIGABYTE = 1e9
SOUND_LOADING = Version("2.10")
"""The first torch without the known flaws of ``torch.load(..., weights_only=True)``."""

LOW_DISK = 20 * GIGABYTE
"""Preprocessed 3D data and checkpoints of a mid-sized data set need about this much."""


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Args:
        name: What was checked.
        status: ``ok``; ``warn``, training works but something is amiss; ``fail``, training cannot work.
        found: What was found.
        mend: What to do about it; empty if nothing.
    """

    name: str
    status: str
    found: str
    mend: str = ""


def all_checks(dataset: str | None = None, plans: str = "nnUNetPlans") -> Iterator[Check]:
    """All checks, in the order in which their problems are to be mended.

    Args:
        dataset: Name or ID of a data set to look at besides.
        plans: Identifier of its plans.
    """
    yield python()
    yield from packages()
    probe = run_probe()
    yield torch_and_torchvision(probe["torch"])
    yield safe_loading(probe["torch"])
    yield libraries(probe["libraries"])
    yield trainers(probe["trainers"])
    yield predict_command()
    yield activation()
    yield nnunet_folder("nnUNet_raw", needs_writing=False)
    yield nnunet_folder("nnUNet_preprocessed", needs_writing=True)
    yield nnunet_folder("nnUNet_results", needs_writing=True)
    yield numbers()
    yield device(probe["device"])
    yield disk()
    if dataset is not None:
        yield orientation(dataset)
        yield memory(dataset, plans, probe["device"])


def python() -> Check:
    """The interpreter, whose version the installer has checked already."""
    return Check("python", OK, f"{sys.version.split()[0]} in {sys.prefix}")


def packages() -> Iterator[Check]:
    """nnU-Net's version, then those of the other requirements."""
    try:
        required = requirements()
    except SettingsError as error:
        yield Check("nnunetv2", FAIL, str(error), "pip install .")
        return
    others = []
    for requirement in required:
        problem = problem_with(requirement)
        if requirement.name != "nnunetv2":
            others += [(requirement, problem)] if problem else []
        elif problem:
            yield Check("nnunetv2", FAIL, problem, f'pip install "{requirement}"')
        else:
            yield Check("nnunetv2", OK, f"{metadata.version('nnunetv2')}, made for {requirement.specifier}")
    if others:
        absent = any("not installed" in problem for _, problem in others)
        wanted = " ".join(f'"{requirement}"' for requirement, _ in others)
        found = "; ".join(problem for _, problem in others)
        yield Check("packages", FAIL if absent else WARN, found, f"pip install {wanted}")
    else:
        yield Check("packages", OK, f"all {len(required)} requirements fit")


def torch_and_torchvision(outcome: dict[str, Any]) -> Check:
    """Whether the two were built for each other; nnU-Net's look-up of trainers imports both."""
    name, error = "torch and torchvision", outcome.get("error")
    if error is None:
        return Check(name, OK, f"torch {outcome['torch']}, torchvision {outcome['torchvision']}")
    if "torchvision::nms" in error or "torchvision" in error.lower():
        return Check(
            name,
            FAIL,
            f"torchvision does not match torch: {error}",
            "Install both again, together and from one index: pip install --force-reinstall torch torchvision "
            "(add the --index-url that torch came from, e.g. https://download.pytorch.org/whl/cpu).",
        )
    return Check(name, FAIL, error, "pip install --force-reinstall torch torchvision")


def safe_loading(outcome: dict[str, Any]) -> Check:
    """Whether torch's loading of checkpoints that may be anybody's is as safe as it says."""
    name = "loading of checkpoints"
    if "error" in outcome:
        return Check(name, WARN, "torch cannot be imported", "Mend torch first, see above.")
    if Version(outcome["torch"]) < SOUND_LOADING:
        return Check(
            name,
            WARN,
            f"torch {outcome['torch']} has a flaw (CVE-2026-24747) by which a checkpoint of somebody else's can run "
            "code although we look at it",
            f'pip install --upgrade "torch>={SOUND_LOADING}" torchvision; until then load your own checkpoints only.',
        )
    return Check(name, OK, "torch has no flaw that we know of")


def libraries(outcome: dict[str, Any]) -> Check:
    """Whether the libraries below nnU-Net can be imported."""
    if "error" in outcome:
        return Check("libraries", FAIL, outcome["error"], "pip install --force-reinstall nnunetv2")
    return Check("libraries", OK, f"imported {', '.join(outcome['imported'])}")


def trainers(outcome: dict[str, Any]) -> Check:
    """Whether nnU-Net's own look-up finds our trainers, as the same classes each time."""
    if "error" in outcome:
        return Check(
            "trainers",
            FAIL,
            outcome["error"],
            f"Mend the checks above first. If they are ok, {EXT_TRAINER} may name a folder that shadows ours: unset it "
            "and call doctor again.",
        )
    return Check("trainers", OK, f"nnU-Net finds {', '.join(outcome['found'])}, the same class at each look-up")


def predict_command() -> Check:
    """Whose the command nnUNetv2_predict is, and whether the shell finds this environment's."""
    entries = list(metadata.entry_points(group="console_scripts", name=PREDICT_COMMAND))
    foreign = [entry for entry in entries if entry.value != PREDICT_TARGET]
    if foreign:
        owner = foreign[0].dist.name if foreign[0].dist else "another package"
        return Check(
            PREDICT_COMMAND,
            WARN,
            f"{owner} replaces nnU-Net's command by {foreign[0].value}",
            f"Uninstall {owner} and install nnunetv2 again, or use 'nnunet_hetero predict'.",
        )
    scripts = Path(sysconfig.get_path("scripts"))
    on_path = shutil.which(PREDICT_COMMAND)
    if on_path is None:
        return Check(PREDICT_COMMAND, WARN, "not on PATH", f"Activate the environment, or add {scripts} to PATH.")
    if Path(on_path).resolve().parent != scripts.resolve():
        return Check(
            PREDICT_COMMAND,
            WARN,
            f"PATH finds {on_path}, which is not of this environment ({sys.prefix})",
            f"Put {scripts} before it on PATH, e.g. by activating the environment again.",
        )
    return Check(PREDICT_COMMAND, OK, f"nnU-Net's own, {on_path}")


def activation() -> Check:
    """Whether nnU-Net's own commands know us."""
    found = activation_files()
    listed = is_in_ext_trainer(os.environ.get(EXT_TRAINER))
    if found and listed:
        return Check("activation", OK, f"active by {', '.join(map(str, found))}")
    if found:
        return Check(
            "activation", WARN, f"{found[0]} is there but had no effect on this process", "nnunet_hetero activate"
        )
    if listed:
        return Check(
            "activation",
            OK,
            f"not active, but {EXT_TRAINER} names our folder: nnUNetv2_train works, our prediction flags need "
            "'nnunet_hetero predict'",
        )
    return Check(
        "activation",
        WARN,
        "not active: nnUNetv2_train and nnUNetv2_predict do not know our trainers and flags",
        "nnunet_hetero activate, or use 'nnunet_hetero train' and 'nnunet_hetero predict'.",
    )


def nnunet_folder(variable: str, needs_writing: bool) -> Check:
    """One of nnU-Net's three folders.

    Args:
        variable: The environment variable that names it.
        needs_writing: Whether training writes to it.
    """
    value = os.environ.get(variable)
    if not value:
        return Check(variable, FAIL, "not set", f"export {variable}=/path/to/{variable}")
    problem = problem_with_folder(value)
    if problem:
        return Check(variable, FAIL, f"'{value}' {problem.split(';')[0]}", f"export {variable}=/path/to/{variable}")
    if not os.path.isdir(value):
        return Check(variable, FAIL, f"{value} is not a folder", f'mkdir -p "{value}"')
    if not os.access(value, os.W_OK):
        status = FAIL if needs_writing else WARN
        return Check(variable, status, f"{value} cannot be written to", "Set it to a folder of yours.")
    return Check(variable, OK, value)


def numbers() -> Check:
    """nnU-Net's variables that are numbers of processes; it ends in a traceback on others."""
    set_now = [f"{name}={os.environ[name]}" for name in NUMBERS if name in os.environ]
    try:
        require_numbers()
    except SettingsError as error:
        return Check("processes", FAIL, str(error), f"unset {' '.join(NUMBERS)}")
    return Check("processes", OK, ", ".join(set_now) or "as nnU-Net chooses")


def device(outcome: dict[str, Any]) -> Check:
    """What training would run on."""
    if "error" in outcome:
        return Check("device", FAIL, outcome["error"], "Mend torch first, see above.")
    found = f"{outcome['kind']}, {outcome['name']}"
    if outcome["free"] is not None:
        found += f", {outcome['free'] / GIGABYTE:.1f} of {outcome['total'] / GIGABYTE:.1f} GB memory free"
    if outcome["kind"] == "cpu":
        return Check(
            "device",
            WARN,
            found,
            "Without a GPU add '-device cpu' to each command; training on real data takes weeks. If there is an NVIDIA "
            "GPU, install a torch that was built for its driver.",
        )
    return Check("device", OK, found)


def disk() -> Check:
    """Free space where training writes."""
    folders = [os.environ.get(variable) for variable in ("nnUNet_preprocessed", "nnUNet_results")]
    places = [folder for folder in folders if folder and os.path.isdir(folder)] or [os.getcwd()]
    free = {place: shutil.disk_usage(place).free for place in places}
    found = ", ".join(f"{size / GIGABYTE:.0f} GB free in {place}" for place, size in free.items())
    if min(free.values()) < LOW_DISK:
        return Check("disk", WARN, found, f"Make room: data sets often need more than {LOW_DISK / GIGABYTE:.0f} GB.")
    return Check("disk", OK, found)


def orientation(dataset: str) -> Check:
    """Whether all training images of a data set have one orientation.

    Args:
        dataset: Name or ID.
    """
    name = f"orientation of {dataset}"
    try:
        # Late: it imports nnU-Net, which may be what is broken.
        from nnunet_hetero.reorient.listing import mending, mixture_in_words

        mixture = mixture_in_words(dataset_folders(dataset)[0])
    except (HeteroError, ImportError, RuntimeError, OSError) as error:
        return Check(name, FAIL, str(error), "Mend that, and call doctor again.")
    if mixture:
        return Check(name, FAIL, f"training images have different ones: {mixture}", mending(dataset))
    return Check(name, OK, "all training images have the same")


def memory(dataset: str, plans: str, outcome: dict[str, Any]) -> Check:
    """What a training step of our default trainer will take, next to what the device has free.

    Args:
        dataset: Name or ID.
        plans: Identifier of the plans.
        outcome: What was found of the device.
    """
    name = f"memory of {plans}"
    try:
        # Late, as in `orientation`.
        from nnunet_hetero.planning.step_memory import step_memory
        from nnunet_hetero.training.memory import ROOM

        steps = step_memory(dataset_folders(dataset)[1], plans)
    except (HeteroError, ImportError, RuntimeError, OSError) as error:
        return Check(name, WARN, str(error), "Mend that to be told what a training step takes.")
    on_gpu, free = outcome.get("kind") != "cpu", outcome.get("free")
    lines, scarce = [], []
    for step in steps:
        needed = step.mixed if on_gpu else step.single
        patch = "×".join(map(str, step.patch))
        lines.append(f"{step.configuration} (patch {patch}, batch {step.batch}) {needed / GIGABYTE:.1f} GB")
        if free is not None and needed > ROOM * free:
            scarce.append(step.configuration)
    found = f"tensors of a training step with all modalities: {', '.join(lines)}"
    if scarce and free is not None:
        return Check(
            name,
            WARN,
            f"{found}. With what convolutions take besides, {', '.join(scarce)} may not fit into "
            f"{free / GIGABYTE:.1f} GB",
            f"Plan for less: nnunet_hetero plan -d {dataset} -gpu_memory_target GB",
        )
    return Check(name, OK, found)
