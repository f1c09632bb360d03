"""nnU-Net's prediction commands with our flags, for models that one of our trainers trained.

nnU-Net's own entry point does the work: it gets its own flags only, and finds our predictor under the name of its own.
For all other models it is called as if we were not there.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nnunet_hetero.errors import HeteroError, SettingsError, os_error_in_words, the_case
from nnunet_hetero.inference.options import PredictionOptions, prediction_flags_help, split_prediction_flags
from nnunet_hetero.integration.nnunet_arguments import require_possible_prediction
from nnunet_hetero.integration.nnunet_flags import flag_value, wants_help
from nnunet_hetero.io.checkpoints import TRUST_FLAG
from nnunet_hetero.io.console import GO_ON_WITH_FLAG, make_printable
from nnunet_hetero.io.stopping.requests import requests_to_stop, stopped_by_user
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, OUR_TRAINERS
from nnunet_hetero.nnunet.folders import model_folder
from nnunet_hetero.nnunet.versions import require_supported_nnunet

if TYPE_CHECKING:
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

STOCK_TRAINER = "nnUNetTrainer"


def predict(
    module: ModuleType,
    name: str,
    original: Callable[[], Any],
    safely: bool = False,
    predictor: type[HeteroModalPredictor] | None = None,
    only_look: bool = False,
) -> Any:
    """Stand in for an entry point of nnU-Net's prediction module; reads ``sys.argv`` as that does.

    Args:
        module: nnU-Net's ``predict_from_raw_data``.
        name: Name of the entry point in it.
        original: nnU-Net's own entry point.
        safely: Whether to refuse a model that could run code even where nnU-Net's own predictor loads it.
        predictor: Class that predicts, ours by default; one that is given takes models of our trainers only.
        only_look: Whether to end where the first case would be predicted, here or elsewhere.

    Returns:
        What nnU-Net's entry point returns.

    Raises:
        SystemExit: With code 1 after an error that the user can mend, or if cases failed.
    """
    options, rest = split_prediction_flags(sys.argv[1:], prog=os.path.basename(sys.argv[0]))
    if wants_help(rest):
        return _help(original)
    given = dict.fromkeys(arg for arg in sys.argv[1:] if arg.startswith("--") and arg not in rest)
    try:
        if only_look:
            require_possible_prediction(rest, here=False)
            from nnunet_hetero.inference.looking import LookingPredictor

            rest, predictor = [*rest, "-device", "cpu"], LookingPredictor
        if name.endswith("_modelfolder"):
            trainer = _trainer_of_model_folder(rest, options.trust_checkpoint, safely)
        else:
            trainer = flag_value(rest, "-tr")
        if _is_ours(trainer or STOCK_TRAINER, must_load=bool(given)):
            with requests_to_stop(GO_ON_WITH_FLAG), _no_folder_for_nothing(flag_value(rest, "-o")):
                return _predict_with_ours(module, original, options, rest, predictor)
        if predictor is not None and not only_look:
            raise SettingsError(
                f"Trainer '{trainer or STOCK_TRAINER}' is not one of nnunet_hetero's, and only these predict on a "
                f"cluster. Predict with a model of one of them, e.g. -tr {DEFAULT_TRAINER}."
            )
        if unknown := [flag for flag in given if flag != TRUST_FLAG]:
            raise SettingsError(
                f"Trainer '{trainer or STOCK_TRAINER}' is not one of nnunet_hetero's and does not know "
                f"{', '.join(unknown)}. Predict with a model of one of its trainers, e.g. -tr {DEFAULT_TRAINER}, or "
                "leave the flag out."
            )
        if safely:
            require_possible_prediction(rest)
        if safely and not options.trust_checkpoint:
            _require_harmless_model(rest, trainer or STOCK_TRAINER)
    except HeteroError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {os_error_in_words(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        sys.exit(stopped_by_user(interrupt, GO_ON_WITH_FLAG))
    if only_look:
        return None
    if not given:
        return original()
    with _replaced(sys, "argv", [sys.argv[0], *rest]):
        return original()


def _help(original: Callable[[], Any]) -> Any:
    try:
        return original()
    except SystemExit as end:
        if not end.code:
            print(f"\n{prediction_flags_help()}", end="")
        raise


def _predict_with_ours(
    module: ModuleType,
    original: Callable[[], Any],
    options: PredictionOptions,
    rest: list[str],
    predictor: type[HeteroModalPredictor] | None,
) -> Any:
    require_supported_nnunet()
    make_printable()
    require_possible_prediction(rest)
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

    if options.view:
        _require_viewer()
    predictors: list[HeteroModalPredictor] = []

    class PredictorOfThisCall(predictor or HeteroModalPredictor):  # type: ignore[misc]  # a class by its value
        """Our predictor, with the options of this call; nnU-Net's entry point passes its own arguments only."""

        def __init__(self, **nnunet_arguments: Any) -> None:
            super().__init__(options=options, **nnunet_arguments)
            predictors.append(self)

    # Worker processes get the arguments that nnU-Net knows, and import nnU-Net's own class.
    with _replaced(sys, "argv", [sys.argv[0], *rest]), _replaced(module, "nnUNetPredictor", PredictorOfThisCall):
        result = original()

    failed: dict[str, str] = {}
    for used in predictors:
        failed.update(used.failed)
    if options.view:
        failed |= _write_pages(rest, failed)
    if failed:
        reasons = "".join(f"\n  {reason}" for reason in failed.values())
        print(f"error: {len(failed)} case(s) could not be predicted:{reasons}", file=sys.stderr)
        sys.exit(1)
    return result


def _require_viewer() -> None:
    """Before the work: what the pages need is there."""
    from nnunet_hetero.viewer.niivue import script

    try:
        script()
    except SettingsError as error:
        print(f"error: --view: {error}", file=sys.stderr)
        sys.exit(1)


def _write_pages(argv: list[str], failed: dict[str, str]) -> dict[str, str]:
    """Pages of the cases of this call's output folder; why a case has none, by case."""
    from nnunet_hetero.inference.output.page_names import INDEX, VIEW_FOLDER
    from nnunet_hetero.viewer.case_folder import CaseFolder
    from nnunet_hetero.viewer.pages import write_pages

    source = CaseFolder(Path(flag_value(argv, "-o") or "."))
    cases = [case for case in source.cases() if case not in failed]
    without = write_pages(source, cases, source.output / VIEW_FOLDER, progress=False)
    print(f"Pages of {len(cases) - len(without)} case(s): {source.output / VIEW_FOLDER / INDEX}")
    return {case: f"{the_case(case)} is predicted, but has no page: {reason}" for case, reason in without.items()}


@contextlib.contextmanager
def _no_folder_for_nothing(output: str | None) -> Iterator[None]:
    """nnU-Net's command makes the output folder before it looks at anything: where nothing came of it, take it away."""
    new = [] if output is None else [path for path in (Path(output), *Path(output).parents) if not path.exists()]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the first that is not empty, or was never made
            for path in new:
                path.rmdir()
        raise


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _trainer_of_model_folder(argv: list[str], trusted: bool, safely: bool) -> str | None:
    """Trainer of the model in ``-m``: one of ours if the folder's name says so, else whom its checkpoint names.

    Where that cannot be loaded, and nnU-Net's own predictor would load it, the folder's name decides.
    """
    folder = flag_value(argv, "-m")
    if folder is None:
        return None
    parts = Path(os.path.abspath(folder)).name.split("__")
    by_name = parts[0] if len(parts) == 3 else None  # TRAINER__PLANS__CONFIGURATION
    checkpoints = _checkpoints_of(folder, argv)
    if by_name in OUR_TRAINERS or not checkpoints:
        return by_name  # who predicts words what is wrong
    from nnunet_hetero.io.checkpoints import load_checkpoint

    try:
        # Mapped, not read: only the name is wanted here.
        trainer = load_checkpoint(checkpoints[0], trusted=trusted, mmap=True).get("trainer_name")
    except SettingsError:
        if safely or by_name is None:
            raise
        return by_name
    return trainer if isinstance(trainer, str) else by_name


def _require_harmless_model(argv: list[str], trainer: str) -> None:
    """Look at what nnU-Net's own predictor is going to load."""
    from nnunet_hetero.nnunet.model_gate import require_harmless_model

    folder = flag_value(argv, "-m")
    if folder is None:
        dataset, configuration = flag_value(argv, "-d"), flag_value(argv, "-c")
        if dataset is None or configuration is None:
            return
        folder = model_folder(dataset, trainer, flag_value(argv, "-p") or "nnUNetPlans", configuration)
    for name in ("dataset.json", "plans.json"):
        if not os.path.isfile(os.path.join(folder, name)):
            raise SettingsError(
                f"There is no trained model at {folder}: no {name} is in it. Check -d, -tr, -p and -c, or -m."
            )
    require_harmless_model(folder, _checkpoints_of(folder, argv))


def _checkpoints_of(folder: str, argv: list[str]) -> list[Path]:
    """Those of all folds that are there. No pattern: the name may have any characters."""
    name = flag_value(argv, "-chk") or "checkpoint_final.pth"
    files = [fold / name for fold in sorted(Path(folder).glob("fold_*"))]
    return [file for file in files if file.is_file()]


def _is_ours(trainer: str, must_load: bool) -> bool:
    """Whether a trainer is one of ours, or a subclass that a user made of one.

    Args:
        trainer: Its name.
        must_load: Whether to raise if nnU-Net's look-up fails; otherwise nnU-Net is left to say so itself.

    Raises:
        SettingsError: If the trainer cannot be loaded.
    """
    if trainer in OUR_TRAINERS or trainer == STOCK_TRAINER:
        return trainer in OUR_TRAINERS
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    try:
        # nnU-Net looks it up again and prints where it searches; once is what the user is used to.
        with contextlib.redirect_stdout(io.StringIO()):
            found = recursive_find_trainer_class_by_name(trainer)
    except Exception as error:  # a user's module may fail in any way
        if must_load:
            raise SettingsError(f"Trainer '{trainer}' cannot be loaded: {type(error).__name__}: {error}") from error
        return False
    from nnunet_hetero.training.hetero_trainer import HeteroTrainer

    return issubclass(found, HeteroTrainer)
