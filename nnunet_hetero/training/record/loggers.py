"""Who is told of a training beside nnU-Net's own log: Weights & Biases (nnU-Net's logger), TensorBoard, MLflow.

TensorBoard and MLflow are switched on by variables, as nnU-Net does with W&B, and write to the training's folder unless
told otherwise, so that no network is needed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.training.record.history import History

if TYPE_CHECKING:
    from nnunetv2.training.logging.nnunet_logger import MetaLogger

TENSORBOARD = "NNUNET_HETERO_TENSORBOARD"
MLFLOW = "NNUNET_HETERO_MLFLOW"
"""Variables: 1 switches the logger on, 0 or nothing leaves it off."""

_ON, _OFF = ("1", "true", "True"), ("", "0", "false", "False")


class Logger(Protocol):
    """nnU-Net's protocol."""

    def log(self, key: str, value: float, step: int) -> None:
        """A value of an epoch."""

    def update_config(self, config: dict) -> None:
        """What the training is."""

    def log_summary(self, key: str, value: Any) -> None:
        """A value of the whole training."""


class Terms:
    """Tells all loggers what nnU-Net's local logger, which knows its own keys alone, does not take.

    Args:
        loggers: nnU-Net's list; those that are added later are told too.
    """

    def __init__(self, loggers: Sequence[Logger]):
        self._loggers = loggers

    def log(self, key: str, value: float, step: int) -> None:
        """A value of an epoch."""
        for logger in self._loggers:
            logger.log(key, value, step)


def add_loggers(to: MetaLogger, is_first: bool) -> tuple[History, Terms]:
    """Add our loggers to nnU-Net's.

    Args:
        to: nnU-Net's.
        is_first: Whether this is the rank that writes; others get no other logger.

    Returns:
        The history, which every rank keeps, and what tells all loggers of a term.

    Raises:
        SettingsError: If a logger is switched on whose package is not there, or a variable is neither 0 nor 1.
    """
    history = History()
    to.loggers.append(history)
    folder = Path(to.output_folder)
    if is_switched_on(TENSORBOARD, "tensorboard") and is_first:
        to.loggers.append(TensorBoardLogger(folder / "tensorboard", to.resume))
    if is_switched_on(MLFLOW, "mlflow") and is_first:
        to.loggers.append(MLflowLogger(folder, to.resume))
    return history, Terms(to.loggers)


def is_switched_on(variable: str, package: str) -> bool:
    """Whether a logger is wanted.

    Args:
        variable: `TENSORBOARD` or `MLFLOW`.
        package: What it needs; also the name of our extra.

    Raises:
        SettingsError: See `add_loggers`.
    """
    value = os.environ.get(variable, "")
    if value not in (*_ON, *_OFF):
        raise SettingsError(f"The environment variable {variable} is '{value}'. Set it to 1 (on) or 0 (off).")
    if value in _ON and importlib.util.find_spec(package) is None:
        raise SettingsError(
            f"{variable} is {value}, but {package} is not installed. Install it: "
            f"pip install 'nnunet_hetero[{package}]'."
        )
    return value in _ON


class TensorBoardLogger:
    """Event files for ``tensorboard --logdir``.

    Args:
        folder: Where they go.
        resume: Whether the training goes on. What was logged of epochs that are done again is replaced.
    """

    def __init__(self, folder: Path, resume: bool):
        self._folder = folder
        self._continued = resume
        self._writer: Any = None

    def log(self, key: str, value: float, step: int) -> None:
        """See `Logger`. An epoch is written out when its end is logged."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=step if self._continued else None)
        self._writer.add_scalar(key, value, step)
        if key == "epoch_end_timestamps":
            self._writer.flush()

    def update_config(self, config: dict) -> None:
        """See `Logger`; the plans lie beside."""

    def log_summary(self, key: str, value: Any) -> None:
        """See `Logger`; summaries are in validation/summary.json."""


class MLflowLogger:
    """A run of MLflow: in ``mlflow.db`` of the training's folder, or where ``MLFLOW_TRACKING_URI`` says.

    Args:
        folder: Of the training; ``mlflow_run.txt`` in it names the run, so that a continued training goes on with it.
        resume: Whether the training goes on.
    """

    def __init__(self, folder: Path, resume: bool):
        from mlflow import MlflowClient

        file = folder / "mlflow_run.txt"
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').absolute()}"
        self._client = MlflowClient(address)
        if resume and file.is_file():
            self._run = file.read_text(encoding="utf-8").strip()
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "nnunet_hetero")
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        title = "/".join(folder.absolute().parts[-3:])
        self._run = self._client.create_run(number, run_name=title).info.run_id
        replace_text(file, self._run)

    def log(self, key: str, value: float, step: int) -> None:
        """See `Logger`."""
        self._client.log_metric(self._run, key, float(value), step=step)

    def update_config(self, config: dict) -> None:
        """See `Logger`."""
        for key, value in config.items():
            self._client.set_tag(self._run, key, str(value)[:500])

    def log_summary(self, key: str, value: Any) -> None:
        """See `Logger`."""
        if isinstance(value, int | float):
            self._client.log_metric(self._run, key, float(value))
