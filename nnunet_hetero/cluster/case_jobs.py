"""What prediction and completion share: a job for each case, and the cases' entries, written here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from distributed import Client
from tqdm import tqdm

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.inference.output.books import CaseEntry, HeldEntries
from nnunet_hetero.io.drafts import clear_drafts, new_draft, remove_draft


def do_cases(
    client: Client,
    name: str,
    function: Callable[..., Sequence[CaseEntry]],
    jobs: Mapping[str, tuple],
    step: str,
    forget: Callable[[str], None],
) -> dict[str, str]:
    """Do cases on the workers of a cluster, and write what the files of all cases say of them.

    Args:
        client: Of the cluster.
        name: What is done, in one word.
        function: Does one case; gives its entry.
        jobs: Its arguments, by the absolute path of the case's files without ending.
        step: What fails if a case fails with its worker, see `Failure`.
        forget: Removes what is there of such a case.

    Returns:
        Why cases failed, by the path of their files.
    """
    failed: dict[str, str] = {}
    held = HeldEntries()
    outcomes = FanOut(client, name).run(function, jobs)
    try:
        for output, outcome in tqdm(outcomes, total=len(jobs), desc=name, unit="case"):
            entries = outcome.result
            if outcome.error is not None:
                forget(output)
                folder, case = os.path.split(output)
                entries = [CaseEntry(folder, case, Failure(step, outcome.error))]
            reasons = [entry.failure.reason for entry in entries if entry.failure is not None]
            if reasons:
                failed[output] = reasons[0]
            held.add(entries)
    finally:
        outcomes.close()
        held.flush()
        for folder in dict.fromkeys(map(os.path.dirname, jobs)):
            clear_drafts(folder)
    return failed


def with_absolute_files(case: Case) -> Case:
    """The case as a process in another working directory finds it."""
    return replace(case, files=tuple(None if file is None else os.path.abspath(file) for file in case.files))


@contextmanager
def probe_in(folder: str | os.PathLike) -> Iterator[str]:
    """A file in a folder, made if it is not there, by which workers see whether they share it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = new_draft(Path(folder).absolute() / "probe")
    try:
        file.touch(exist_ok=False)
        yield str(file)
    finally:
        remove_draft(file)
