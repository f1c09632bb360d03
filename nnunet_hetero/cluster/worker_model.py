"""The model of a worker: loaded when the first case comes, and kept for those that follow."""

from __future__ import annotations

import functools
import json
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnunet_hetero.cluster.workplace import Workplace, files_and_sizes, require_fit, versions
from nnunet_hetero.errors import HeteroError
from nnunet_hetero.inference.earlier_run import MadeFrom
from nnunet_hetero.inference.engine.case_result import CasePrediction
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.processes import FatalError

_loading = threading.Lock()


@dataclass(frozen=True)
class ModelRequest:
    """Which model workers load, and how it predicts. It is sent as it is.

    Args:
        folder: Absolute path.
        folds: See `HeteroModalPredictor`.
        checkpoint_name: See there.
        device: Of the workers, e.g. ``cuda``.
        options: See there.
        arguments: More of its arguments, as JSON.
        settings: What cases are made from where the work is given out, see `MadeFrom`, as JSON.
    """

    folder: str
    folds: tuple[int | str, ...]
    checkpoint_name: str
    device: str
    options: PredictionOptions
    arguments: str
    settings: str

    @classmethod
    def of(
        cls,
        predictor: HeteroModalPredictor,
        folder: str | os.PathLike,
        folds: Sequence[int | str],
        checkpoint_name: str,
        device: str,
    ) -> ModelRequest:
        """What makes workers predict as a predictor would.

        Args:
            predictor: With the model loaded.
            folder: Of the model.
            folds: Those that are loaded.
            checkpoint_name: File name of the checkpoints.
            device: Of the workers.
        """
        arguments = {"tile_step_size": predictor.tile_step_size, "use_mirroring": predictor.use_mirroring}
        return cls(
            os.path.abspath(folder),
            tuple(folds),
            checkpoint_name,
            device,
            predictor.options or PredictionOptions(),
            json.dumps(arguments, sort_keys=True),
            _as_json(MadeFrom(predictor.model)),
        )

    def workplace(self, folders: Sequence[str] = (), probe: str | None = None) -> Workplace:
        """What its workers must find; see `Workplace`."""
        model = Path(self.folder)
        checkpoints = [model / f"fold_{fold}" / self.checkpoint_name for fold in self.folds]
        files = files_and_sizes([model / "plans.json", model / "dataset.json", *checkpoints])
        return Workplace(versions(), files, tuple(folders), probe, self.device)


class WorkerModel:
    """A model that is ready to predict, one case at a time.

    Args:
        request: Which one.

    Raises:
        FatalError: If it cannot be loaded here, or is another one than where the work is given out.
    """

    def __init__(self, request: ModelRequest):
        try:
            self.predictor = HeteroModalPredictor.from_model_folder(
                request.folder,
                request.folds,
                request.device,
                request.checkpoint_name,
                options=request.options,
                **json.loads(request.arguments),
            )
        except HeteroError as error:
            raise FatalError(f"The worker on {socket.gethostname()} cannot be used: {error}") from error
        self.made_from = MadeFrom(self.predictor.model)
        if _as_json(self.made_from) != request.settings:
            raise FatalError(
                f"The worker on {socket.gethostname()} cannot be used: the model in {request.folder} is another one "
                "there than where the work is given out. Both must share it."
            )
        self.on_device = threading.Lock()

    @functools.lru_cache(2)  # noqa: B019 (as long-lived as the worker)
    def run(self, save_probabilities: bool = False) -> dict[str, Any]:
        """What ``run.json`` says of it."""
        return self.predictor.describe_run(save_probabilities) or {}

    def predict_case(self, data: torch.Tensor, properties: dict, case: str) -> CasePrediction:
        """See `HeteroModalPredictor.predict_case`; cases of other threads wait, which read or write meanwhile."""
        with self.on_device:
            return self.predictor.predict_case(data, properties, case)


_kept: dict[ModelRequest, WorkerModel] = {}


def worker_model(request: ModelRequest, workplace: Workplace) -> WorkerModel:
    """The worker's model. One is kept: another request replaces it.

    Raises:
        FatalError: If the worker is not fit for the work.
    """
    with _loading:
        require_fit(workplace)
        if request not in _kept:
            _kept.clear()
            _kept[request] = WorkerModel(request)
        return _kept[request]


def _as_json(made_from: MadeFrom) -> str:
    return json.dumps(made_from.settings, sort_keys=True)
