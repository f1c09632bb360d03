"""The command ``nnunet_hetero``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from nnunet_hetero.cli.dispatch import Command, dispatch
from nnunet_hetero.errors import HeteroError, os_error_in_words
from nnunet_hetero.io.console import BEGIN_ANEW, GO_ON, GO_ON_WITH_FLAG, make_printable
from nnunet_hetero.nnunet.folders import require_numbers
from nnunet_hetero.version import __version__

COMMANDS = {
    "activate": Command("nnunet_hetero.cli.setup.activate", "make nnU-Net's own commands know our trainers and flags"),
    "deactivate": Command("nnunet_hetero.cli.setup.deactivate", "undo 'activate'"),
    "doctor": Command("nnunet_hetero.cli.setup.doctor", "say what is wrong with an installation, and how to mend it"),
    "env": Command("nnunet_hetero.cli.setup.env", "print the line that tells a shell where our trainers are"),
    "convert": Command("nnunet_hetero.cli.data.convert", "write a data set in nnU-Net's raw format"),
    "intake": Command("nnunet_hetero.cli.data.intake", "make cases ready for a model, as they come from the scanner"),
    "return": Command("nnunet_hetero.cli.data.return_results", "bring results back to the images from the scanner"),
    "splits": Command("nnunet_hetero.cli.data.splits", "divide a data set into training, validation and test cases"),
    "fill-gaps": Command(
        "nnunet_hetero.cli.data.fill_gaps", "write all-zero volumes for the files that a data set lacks"
    ),
    "reorient": Command("nnunet_hetero.cli.data.reorient", "bring the images of a data set to one orientation"),
    "plan": Command("nnunet_hetero.cli.data.plan", "write plans with other settings, e.g. another draw of subsets"),
    "plan-subsets": Command("nnunet_hetero.cli.data.plan_subsets", "write plans for one network per subset"),
    "train": Command("nnunet_hetero.cli.models.train", "nnUNetv2_train with our trainer, no activation needed"),
    "predict": Command("nnunet_hetero.cli.models.predict", "nnUNetv2_predict with our flags, no activation needed"),
    "complete": Command("nnunet_hetero.cli.models.complete", "complete the missing modalities of cases"),
    "evaluate": Command("nnunet_hetero.cli.results.evaluate", "evaluate a model on all subsets of the modalities"),
    "calibrate": Command("nnunet_hetero.cli.results.calibrate", "measure how far a model's numbers are off"),
    "report": Command("nnunet_hetero.cli.results.report", "write the page of an evaluation"),
    "change": Command(
        "nnunet_hetero.cli.results.change", "say what happened between two scans, and whether it is sure"
    ),
    "compare": Command("nnunet_hetero.cli.results.compare", "compare evaluations of the same cases, with tests"),
    "view": Command("nnunet_hetero.cli.results.view", "make pages to look at predicted cases"),
    "export-model": Command("nnunet_hetero.cli.models.export_model", "write a model as a zip file, with a page on it"),
    "install-model": Command(
        "nnunet_hetero.cli.models.install_model", "install a model from a zip file, if it is harmless"
    ),
    "map": Command("nnunet_hetero.cli.cluster.map", "do a command's cases, or trainings, on a cluster (Dask)"),
    "submit": Command("nnunet_hetero.cli.cluster.submit", "do a command's trainings, or parts, as a job array"),
    "demo": Command("nnunet_hetero.cli.setup.demo", "run the whole chain on a synthetic cohort"),
}

HOW_TO_GO_ON = {
    **dict.fromkeys(("convert", "intake", "return", "fill-gaps", "reorient"), GO_ON),
    **dict.fromkeys(("evaluate", "calibrate", "install-model"), GO_ON),
    **dict.fromkeys(("predict", "complete"), GO_ON_WITH_FLAG),
    "train": "The same command with --auto-continue goes on from the last checkpoint.",
    "map": "The same command does the rest (predict and complete: with --continue_prediction).",
    "splits": "The same command with --undo takes back what it did; then it can begin anew.",
    "submit": "See whether the batch system has the jobs before you give the same command.",
    **dict.fromkeys(("demo", "plan", "plan-subsets", "change", "compare"), BEGIN_ANEW),
    **dict.fromkeys(("report", "view", "export-model"), BEGIN_ANEW),
}
"""For those who have stopped a command; of all but those that take moments."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: The arguments after the command's name; None reads ``sys.argv``.

    Returns:
        The exit code: 0, 1 for an error that the user can mend (printed as ``error: ...``), 130 after Ctrl-C, or 143
        after SIGTERM.
    """
    make_printable()
    if argv is not None:  # Python code that calls us decides for itself what ends it
        return _run(list(argv))
    from nnunet_hetero.io.stopping.requests import requests_to_stop, stopped_by_user

    arguments = sys.argv[1:]
    go_on = HOW_TO_GO_ON.get(arguments[0], "") if arguments else ""
    try:
        with requests_to_stop(go_on):
            return _run(arguments)
    except KeyboardInterrupt as interrupt:
        code = stopped_by_user(interrupt, go_on)
        sys.stdout.flush()
        os._exit(code)  # at once: Python itself would wait for threads that are still at work


def _run(arguments: list[str]) -> int:
    try:
        if arguments[:1] != ["doctor"]:  # which says so itself
            require_numbers()
        return dispatch(
            "nnunet_hetero",
            "Segmentation with missing modalities (U-HVED) inside nnU-Net v2.",
            COMMANDS,
            arguments,
            version=f"nnunet_hetero {__version__}",
        )
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        print(f"error: {os_error_in_words(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
