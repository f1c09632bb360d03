"""Prediction and completion of cases on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Client

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cluster.case_jobs import do_cases, probe_in, with_absolute_files
from nnunet_hetero.cluster.worker_model import ModelRequest, worker_model
from nnunet_hetero.cluster.workplace import Workplace, require_fit_workers
from nnunet_hetero.errors import naming_the_case
from nnunet_hetero.inference.batch import Batch, BatchItem
from nnunet_hetero.inference.complete_cases import CompleteAll, complete_all
from nnunet_hetero.inference.earlier_run import forget
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.inference.output.books import CaseEntry
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.inference.prepared_items import prepared_items


def cluster_predictor(client: Client, device: str) -> type[HeteroModalPredictor]:
    """A predictor that finds and records the cases here, and predicts them on a cluster.

    The model is loaded here too, on the CPU: it says what the cases are, and whether the workers have the same one.

    Args:
        client: Of the cluster.
        device: Of the workers.
    """

    class ClusterPredictor(HeteroModalPredictor):
        """See `cluster_predictor`."""

        request: ModelRequest
        workplace: Workplace

        def initialize_from_trained_model_folder(
            self,
            model_training_output_dir: str,
            use_folds: Sequence[int | str] | int | str | None,
            checkpoint_name: str = "checkpoint_final.pth",
        ) -> None:
            """See `HeteroModalPredictor`."""
            folds = checked_folds(model_training_output_dir, use_folds, checkpoint_name)
            super().initialize_from_trained_model_folder(model_training_output_dir, folds, checkpoint_name)
            self.request = ModelRequest.of(self, model_training_output_dir, folds, checkpoint_name, device)

        def predict_from_files(
            self,
            list_of_lists_or_source_folder: Any,
            output_folder_or_list_of_truncated_output_files: Any,
            *arguments: Any,
            **keywords: Any,
        ) -> Any:
            """See `HeteroModalPredictor`; before anything is written, the workers are looked at."""
            source, output = list_of_lists_or_source_folder, output_folder_or_list_of_truncated_output_files
            with probe_in(output) as probe:
                require_fit_workers(client, self.request.workplace((os.path.abspath(source),), probe))
            self.workplace = self.request.workplace()
            return super().predict_from_files(source, output, *arguments, **keywords)

        def predict_cases(
            self,
            cases: Sequence[Case],
            outputs: Sequence[str | None],
            save_probabilities: bool,
            num_processes_preprocessing: int,
            num_processes_segmentation_export: int,
        ) -> list:
            """See `HeteroModalPredictor`; a worker does all of a case."""
            case_of = {os.path.abspath(str(output)): case for output, case in zip(outputs, cases, strict=True)}
            jobs = {
                output: (self.request, self.workplace, with_absolute_files(case), output, save_probabilities)
                for output, case in case_of.items()
            }
            writer = CaseWriter.of_model(self.model, save_probabilities)
            failed = do_cases(
                client, "predict", predict_one, jobs, "predicting", lambda output: forget([output], writer)
            )
            for output, reason in failed.items():
                case = case_of[output].name
                self.failed[case] = naming_the_case(case, reason)
            return [None] * len(cases)

    return ClusterPredictor


def predict_one(
    request: ModelRequest, workplace: Workplace, case: Case, output: str, save_probabilities: bool
) -> Sequence[CaseEntry]:
    """Predict a case on a worker; all its files are in place at the end.

    Args:
        request: The model.
        workplace: What the worker must find.
        case: The case, with absolute paths.
        output: Absolute path of its files without ending.
        save_probabilities: See nnU-Net.

    Returns:
        Its entry.
    """
    own = worker_model(request, workplace)
    model = own.predictor.model
    writer = CaseWriter.of_model(model, save_probabilities)
    entries: list[CaseEntry] = []
    run = own.run(save_probabilities)
    with Batch(own.predict_case, model.device, writer, run, 0, entries.extend) as batch:
        for item in prepared_items(model, own.made_from, [case], [output], 0):
            if "failure" in item:
                batch.fail(item["name"], item["ofile"], item["failure"])
            else:
                batch.add(BatchItem.of(item))
        batch.finish()
    return entries[-1:]  # a failure after success, as when the last file cannot be moved, counts


def cluster_completion(client: Client, request: ModelRequest, probe: str, source: str) -> CompleteAll:
    """What completes cases on a cluster, for `complete_cases`.

    Args:
        client: Of the cluster.
        request: The model.
        probe: See `probe_in`.
        source: Folder of the images.

    Raises:
        SettingsError: If a worker is not fit.
    """
    require_fit_workers(client, request.workplace((os.path.abspath(source),), probe))
    workplace = request.workplace()

    def complete(
        model: LoadedModel, cases: Sequence[Case], output: Path, num_processes: int, run: dict
    ) -> dict[str, str]:
        folder = str(output.absolute())
        jobs = {
            os.path.join(folder, case.name): (request, workplace, with_absolute_files(case), folder) for case in cases
        }
        writer = CaseWriter.of_model(model)
        failed = do_cases(client, "complete", complete_one, jobs, "completing", lambda path: forget([path], writer))
        reasons = {os.path.basename(path): reason for path, reason in failed.items()}
        return {case: naming_the_case(case, reason) for case, reason in reasons.items()}

    return complete


def complete_one(request: ModelRequest, workplace: Workplace, case: Case, folder: str) -> Sequence[CaseEntry]:
    """Complete a case on a worker, see `predict_one`."""
    own = worker_model(request, workplace)
    entries: list[CaseEntry] = []
    complete_all(own.predictor.model, [case], Path(folder), 0, own.run(), entries.extend)
    return entries[-1:]
