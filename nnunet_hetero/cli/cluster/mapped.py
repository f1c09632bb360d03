"""The commands of ``nnunet_hetero map``: each takes its own flags, and a cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nnunet_hetero.cli.cluster.beforehand import CPU, require_possible
from nnunet_hetero.cli.data import convert as convert_command
from nnunet_hetero.cli.data import intake as intake_command
from nnunet_hetero.cli.models import complete as complete_command
from nnunet_hetero.cli.models import predict as predict_command
from nnunet_hetero.cli.results import evaluate as evaluate_command
from nnunet_hetero.integration.nnunet_flags import TRAIN_FLAGS, TRAIN_SWITCHES, flag_value, wants_help
from nnunet_hetero.integration.train_command import split_train_flags
from nnunet_hetero.nnunet.arguments import fold
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER
from nnunet_hetero.nnunet.folders import model_folder, plans_file, require_variables

if TYPE_CHECKING:
    from distributed import Client

    from nnunet_hetero.inference.complete_cases import CompleteAll
    from nnunet_hetero.inference.predictor import HeteroModalPredictor

RAW, RESULTS = "nnUNet_raw", "nnUNet_results"


def predict(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero predict``, whose cases are predicted by workers."""
    from nnunet_hetero.cluster.map_predict import cluster_predictor

    arguments = list(argv)
    device = flag_value(arguments, "-device") or "cuda"
    if not wants_help(arguments):
        arguments += ["-device", CPU]  # the last one counts
    return predict_command.predict_with(arguments, cluster_predictor(client, device))


def complete(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero complete``, whose cases are completed by workers."""
    from nnunet_hetero.cluster.case_jobs import probe_in
    from nnunet_hetero.cluster.map_predict import cluster_completion
    from nnunet_hetero.cluster.worker_model import ModelRequest
    from nnunet_hetero.inference.model.model_folder import checked_folds

    args = _parsed("complete", complete_command, argv)
    device, args.device = args.device, CPU

    def elsewhere(predictor: HeteroModalPredictor, folder: str) -> CompleteAll:
        folds = checked_folds(folder, args.f, args.chk)
        request = ModelRequest.of(predictor, folder, folds, args.chk, device)
        with probe_in(args.o) as probe:
            return cluster_completion(client, request, probe, args.i)

    return complete_command.complete_with(args, elsewhere)


def evaluate(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero evaluate``, whose cases are evaluated by workers."""
    from nnunet_hetero.cluster.map_evaluate import cluster_sweep

    args = _parsed("evaluate", evaluate_command, argv)
    device, args.device = args.device, CPU
    return evaluate_command.evaluate_with(args, cluster_sweep(client, device))


def convert(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero convert``, whose cases are converted by workers."""
    from nnunet_hetero.cluster.case_jobs import probe_in
    from nnunet_hetero.cluster.cluster_workers import ClusterWorkers
    from nnunet_hetero.cluster.workplace import Workplace, require_fit_workers, versions
    from nnunet_hetero.io.processes import replaced_workers

    require_variables(RAW)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-i", "--input")
    found, rest = parser.parse_known_args(list(argv))
    given = [] if found.input is None else ["-i", os.path.abspath(found.input)]
    with probe_in(os.environ[RAW]) as probe:
        folders = tuple(path for path in given[1:] if os.path.isdir(path))
        require_fit_workers(client, Workplace(versions(), (), folders, probe))
    with replaced_workers(lambda: ClusterWorkers(client, "convert")):
        return convert_command.run(argparse.Namespace(arguments=[*rest, *given]))


def intake(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero intake``, whose cases are made ready by workers."""
    from nnunet_hetero.cluster.case_jobs import probe_in
    from nnunet_hetero.cluster.cluster_workers import ClusterWorkers
    from nnunet_hetero.cluster.workplace import Workplace, require_fit_workers, versions
    from nnunet_hetero.intake.cohort.run import require_places
    from nnunet_hetero.io.processes import replaced_workers

    args = _parsed("intake", intake_command, argv)
    args.i, args.o = args.i.absolute(), args.o.absolute()
    if args.mask is not None and os.path.isfile(args.mask):
        args.mask = os.path.abspath(args.mask)
    require_places(args.i, args.o)
    with probe_in(args.o) as probe:
        require_fit_workers(client, Workplace(versions(), (), (str(args.i),), probe))
    with replaced_workers(lambda: ClusterWorkers(client, "intake")):
        return intake_command.run(args)


def train(client: Client, argv: Sequence[str]) -> int:
    """``nnunet_hetero train`` for several folds and plans, each training on a worker; 1 if one failed."""
    from nnunet_hetero.cluster.case_jobs import probe_in
    from nnunet_hetero.cluster.map_train import Training, map_trainings
    from nnunet_hetero.cluster.workplace import Workplace, files_and_sizes, versions

    flags, rest = split_train_flags(argv)
    args = train_parser().parse_args(rest)
    require_variables("nnUNet_preprocessed", RESULTS)
    trainings, files = {}, []
    more = [switch for switch in _SWITCHES if vars(args)[switch]]
    more += [*(["--trust_checkpoint"] if flags.trust_checkpoint else []), "--auto-continue"]
    more += [] if flags.max_time is None else ["--max_time", flags.max_time]
    for flag in _MORE:
        more += [] if vars(args)[flag] is None else [flag, vars(args)[flag]]
    for plans in args.p:
        folder = Path(model_folder(args.dataset, args.tr, plans, args.configuration)).absolute()
        for number in args.folds:
            own = (args.dataset, args.configuration, number, "-tr", args.tr, "-p", plans, *more)
            trainings[f"fold {number}, {plans}"] = Training(own, str(folder / f"fold_{number}"))
        files.append(plans_file(args.dataset, plans))
    require_possible("train", [training.arguments for training in trainings.values()])
    with probe_in(os.environ[RESULTS]) as probe:
        device = vars(args)["-device"] or "cuda"
        failed = map_trainings(client, trainings, Workplace(versions(), files_and_sizes(files), (), probe, device))
    for name, reason in failed.items():
        print(f"error: {name}: {reason}")
    return 1 if failed else 0


_MORE = [flag for flag in TRAIN_FLAGS if flag not in ("-tr", "-p")]
_SWITCHES = [switch for switch in TRAIN_SWITCHES if switch != "--c"]


def train_parser() -> argparse.ArgumentParser:
    """The flags of ``nnUNetv2_train``, for several folds and plans."""
    parser = argparse.ArgumentParser(
        prog="nnunet_hetero map train",
        description="Train folds, and plans, each on a worker. A training that has begun goes on; one that has ended "
        "is left as it is.",
    )
    parser.add_argument("dataset", help="Dataset name or ID.")
    parser.add_argument("configuration", help="E.g. 3d_fullres.")
    parser.add_argument("folds", nargs="+", type=fold, help="Fold(s).")
    parser.add_argument("-tr", default=DEFAULT_TRAINER, help="Trainer. Default: %(default)s")
    parser.add_argument("-p", nargs="+", default=["nnUNetPlans"], help="Plans identifier(s). Default: nnUNetPlans")
    for flag in _MORE:
        parser.add_argument(flag, dest=flag, help="See nnUNetv2_train.")
    for switch in _SWITCHES:
        parser.add_argument(switch, dest=switch, action="store_true", help="See nnUNetv2_train.")
    return parser


def _parsed(name: str, module: ModuleType, argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"nnunet_hetero map {name}", description=module.HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return parser.parse_args(list(argv))
