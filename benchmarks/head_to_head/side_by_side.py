"""Several trainings at once, a thread each; and several calls of the benchmark on one output folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from head_to_head.runs import TrainingRun
from nnunet_hetero.demo.steps import StepFailed, Steps
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import alone_in

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "nnUNet_n_proc_DA": "1"}
"""Two trainings of one thread use two cores better than one training of two."""


def run_all(runs: Sequence[TrainingRun], steps: Steps, device: str, metrics: Sequence[str], jobs: int) -> None:
    """Finish all trainings, ``jobs`` at once; those in the hands of another call come last, when it is done with them.

    Args:
        runs: All of them.
        steps: Runs the commands.
        device: ``cpu`` or ``cuda``.
        metrics: Groups of scores, see ``nnunet_hetero evaluate``.
        jobs: How many at once.

    Raises:
        StepFailed: After all others have ended, if one failed; with what all that failed said.
    """
    if jobs > 1:
        steps.several_at_once = True
        if device == "cpu":
            steps.environment |= ONE_THREAD

    def attempt(training: TrainingRun, patiently: bool) -> bool:
        """Whether it is finished, and not in the hands of another call."""
        try:
            with alone_in(training.folder, wait=patiently):
                steps.say(f"{training.method.name}, seed {training.seed}, fold {training.fold}")
                if training.finished:
                    print("    done before", flush=True)
                training.run(steps, device, metrics)
        except SettingsError:
            return False
        return True

    failed: list[StepFailed] = []
    try:
        others = _for_each(runs, jobs, lambda training: attempt(training, False), failed)
        if others:
            number = len(others)
            print(f"\n{number} training(s) are in the hands of another call of the benchmark: waiting.", flush=True)
        _for_each(others, jobs, lambda training: attempt(training, True), failed)
    except KeyboardInterrupt:  # what stops us may not have reached what we started
        steps.end()
        raise
    if failed:
        raise StepFailed("\n\n".join(map(str, failed)))


def _for_each(
    runs: Sequence[TrainingRun], jobs: int, work: Callable[[TrainingRun], bool], failed: list[StepFailed]
) -> list[TrainingRun]:
    """Do the work for each, some at once; those for which it answers no. What fails is put into a list."""
    undone = []
    pool = ThreadPoolExecutor(jobs)
    try:
        begun = [(training, pool.submit(work, training)) for training in runs]
        for training, future in begun:
            try:
                if not future.result():
                    undone.append(training)
            except StepFailed as error:
                failed.append(error)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops us does not wait for the trainings
    return undone


def expected(runs: Sequence[TrainingRun], cost: Mapping[str, Any], jobs: int) -> str:
    """What is left to train and about how long it takes, in words.

    Args:
        runs: All of them.
        cost: See `head_to_head.cost.measured_cost`.
        jobs: How many at once.
    """
    left = [training for training in runs if not training.trained]
    if not left:
        return "All trainings are done."
    key = "seconds" if jobs == 1 else "cpu_seconds"
    seconds = sum(_steps_of(training) * cost["found"][training.method.name][key] for training in left)
    at_once = min(jobs, os.cpu_count() or 1, len(left))
    hours = seconds / at_once / 3600
    return (
        f"{len(left)} training(s) of {_steps_of(left[0])} steps are left: about {hours:.1f} hours"
        f"{f' with {at_once} at once' if jobs > 1 else ''}, with nothing else on the machine; evaluation comes on top."
    )


def _steps_of(training: TrainingRun) -> int:
    return training.record["num_epochs"] * training.record["num_iterations_per_epoch"]
