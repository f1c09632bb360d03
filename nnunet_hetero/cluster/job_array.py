"""A command as an array of jobs, without Dask: one for each fold and plans, or for each part of the cases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.integration.nnunet_flags import flag_value, train_arguments
from nnunet_hetero.integration.train_command import split_train_flags
from nnunet_hetero.nnunet.arguments import fold

COMMANDS = ("train", "predict", "evaluate")


def tasks_of(command: str, argv: Sequence[str], parts: int | None) -> list[list[str]]:
    """The commands of an array; each can be run again and goes on where it was left.

    Args:
        command: Of `COMMANDS`.
        argv: Its arguments; ``train`` takes several folds and, after ``-p``, several plans.
        parts: Number of parts of a prediction.

    Returns:
        Each command once, however often its fold or plans are named.

    Raises:
        SettingsError: If there is no such command, the arguments cannot be divided, or are those of one job alone.

    Examples:
        >>> tasks_of("evaluate", ["-d", "501", "-c", "2d", "-f", "0", "1"], None)
        [['evaluate', '-d', '501', '-c', '2d', '-f', '0'], ['evaluate', '-d', '501', '-c', '2d', '-f', '1']]
    """
    if command not in COMMANDS:
        raise SettingsError(f"submit {command}: an array is made of {', '.join(COMMANDS)}.")
    if command == "predict":
        if parts is None:
            raise SettingsError("submit predict: say into how many jobs the cases are divided, before it: --parts 20")
        return _predictions(argv, parts)
    if parts is not None:
        raise SettingsError(f"submit {command}: --parts divides the cases of 'predict' alone. Leave it out.")
    return _trainings(argv) if command == "train" else _evaluations(argv)


def _predictions(argv: Sequence[str], parts: int) -> list[list[str]]:
    if flag_value(argv, "-num_parts") is not None or flag_value(argv, "-part_id") is not None:
        raise SettingsError("-num_parts and -part_id are set for each job. Leave them out, and give --parts.")
    if flag_value(argv, "-npp") == flag_value(argv, "-nps") == "0":
        raise SettingsError("With -npp 0 and -nps 0 nnU-Net does all parts in each job. Leave one of them out.")
    own = ["predict", *argv]
    if "--continue_prediction" not in argv and "--c" not in argv:
        own.append("--continue_prediction")
    return [[*own, "-num_parts", str(parts), "-part_id", str(part)] for part in range(parts)]


def _trainings(argv: Sequence[str]) -> list[list[str]]:
    rest, plans = _without_list(argv, "-p")
    places = [place for place, text in enumerate(rest) if text.startswith("-")]
    positional, flags = (rest[: places[0]], rest[places[0] :]) if places else (rest, [])
    if len(positional) < 3:
        raise SettingsError("submit train: give dataset, configuration and fold(s) first: train 501 3d_fullres 0 1 2")
    dataset, configuration, *folds = positional
    tasks = []
    names = [["-p", name] for name in dict.fromkeys(plans)] or [[]]
    for name, number in product(names, dict.fromkeys(map(_fold, folds))):
        own = [dataset, configuration, number, *name, *flags]
        if train_arguments(split_train_flags(own)[1]) is None:
            raise SettingsError(f"submit train: nnUNetv2_train does not know {' '.join(own)}")
        tasks.append(["train", *own, *([] if {"--c", "--auto-continue"} & set(flags) else ["--auto-continue"])])
    return tasks


def _evaluations(argv: Sequence[str]) -> list[list[str]]:
    rest, folds = _without_list(argv, "-f")
    if not folds:
        raise SettingsError("submit evaluate: give the folds, each is a job: -f 0 1 2 3 4")
    if {"-i", "-o", "--split"} & set(rest):
        raise SettingsError(
            "submit evaluate: -i, -o and --split concern all folds together; evaluate them in one job: nnunet_hetero "
            "map evaluate"
        )
    return [["evaluate", *rest, "-f", number] for number in dict.fromkeys(map(_fold, folds))]


def _without_list(argv: Sequence[str], flag: str) -> tuple[list[str], list[str]]:
    """The arguments without a flag, and its values."""
    if flag not in argv:
        return list(argv), []
    place = list(argv).index(flag)
    end = next((at for at in range(place + 1, len(argv)) if argv[at].startswith("-")), len(argv))
    return [*argv[:place], *argv[end:]], list(argv[place + 1 : end])


def _fold(text: str) -> str:
    try:
        return fold(text)
    except Exception as error:
        raise SettingsError(f"{error}.") from error
