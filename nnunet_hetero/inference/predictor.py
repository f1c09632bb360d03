"""nnU-Net's predictor for cases that lack modalities."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.helpers import empty_cache
from torch._dynamo import OptimizedModule

from nnunet_hetero.cases.find import Case, find_cases, kept_modalities
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.batch import Batch, BatchItem
from nnunet_hetero.inference.earlier_run import MadeFrom, forget
from nnunet_hetero.inference.engine.case_prediction import predict_case, require_calibration, require_image_decoders
from nnunet_hetero.inference.engine.case_result import CasePrediction, Demands, SamplingOptions
from nnunet_hetero.inference.engine.model import LoadedModel, Tiles, unwrapped
from nnunet_hetero.inference.from_python import Affine, Image, Prediction, Spacing, predict_images
from nnunet_hetero.inference.model.calibrated import ModelCalibration
from nnunet_hetero.inference.model.model_folder import TrainedModel, checked_folds, load_model
from nnunet_hetero.inference.nnunet_arrays import ArrayEntryPoints, require_prepared
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.run_record import describe_run
from nnunet_hetero.inference.output_folder import (
    alone_with,
    checked_outputs,
    still_to_do,
    tell_of_calibration,
    write_settings,
)
from nnunet_hetero.inference.prepared_items import prepared_items
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.nnunet.arguments import usable_device
from nnunet_hetero.nnunet.environment import set_ext_trainer

if TYPE_CHECKING:
    from typing_extensions import Self

    from nnunet_hetero.inference.options import PredictionOptions


class HeteroModalPredictor(ArrayEntryPoints):
    """Predicts with any subset of the modalities, otherwise as nnU-Net does.

    A case's subset is settled once, before the sliding window: a tile in which a present modality happens to be zero is
    still encoded from it. Probabilities are averaged over draws of the latents; the draws follow from the options' seed
    and the case's name, so the same case gives the same output.

    Args:
        options: Modalities to switch off for all cases; None switches none off.
        **nnunet_arguments: Those of ``nnUNetPredictor``.

    Attributes:
        kept: Channels that the options leave on, known once a model is loaded.
        failed: Reason by case for those that could not be predicted, since the last call began.
        calibration: That of the model, known once it is loaded from its folder.
    """

    network: torch.nn.Module

    def __init__(self, *, options: PredictionOptions | None = None, **nnunet_arguments: Any):
        super().__init__(**nnunet_arguments)
        self.options = options
        self.kept: Subset = ()
        self.failed: dict[str, str] = {}
        self._trained: TrainedModel | None = None
        self.calibration: ModelCalibration | None = None

    @classmethod
    def from_model_folder(
        cls,
        folder: str | os.PathLike,
        folds: Sequence[int | str] | int | str | None = None,
        device: torch.device | str | None = None,
        checkpoint_name: str = "checkpoint_final.pth",
        **arguments: Any,
    ) -> Self:
        """Load a trained model, ready to predict.

        Args:
            folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
            folds: One or several, an ensemble; None takes all that are there.
            device: Default CUDA if there is one, else the CPU.
            checkpoint_name: File name of the checkpoint.
            **arguments: Those of this class, e.g. ``options``, ``use_mirroring=False`` or ``tile_step_size``.

        Raises:
            SettingsError: As in `initialize_from_trained_model_folder`.
        """
        set_ext_trainer()
        device = usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with contextlib.redirect_stdout(io.StringIO()):  # nnU-Net prints that the CPU is no GPU
            predictor = cls(**{"device": device, "allow_tqdm": False, **arguments})
        predictor.initialize_from_trained_model_folder(str(folder), folds, checkpoint_name)
        return predictor

    def initialize_from_trained_model_folder(
        self,
        model_training_output_dir: str,
        use_folds: Sequence[int | str] | int | str | None,
        checkpoint_name: str = "checkpoint_final.pth",
    ) -> None:
        """Load a trained model; None as folds takes all that are there.

        Raises:
            SettingsError: If a file of the model is missing, the model is none of ours, the plans do not fit the
                weights, or the options name modalities that the model does not have.
        """
        folds = checked_folds(model_training_output_dir, use_folds, checkpoint_name)
        trust = bool(self.options and self.options.trust_checkpoint)
        trained = load_model(model_training_output_dir, folds, checkpoint_name, trust)
        self.manual_initialization(
            trained.network,
            trained.plans_manager,
            trained.configuration_manager,
            trained.parameters,
            trained.dataset_json,
            trained.trainer_name,
            trained.mirroring_axes,
        )
        self._trained, self.calibration = trained, ModelCalibration(trained)

    def manual_initialization(self, *arguments: Any, **keywords: Any) -> None:
        """See nnU-Net; with ``nnUNet_compile`` the network's parts are compiled, as in training."""
        super().manual_initialization(*arguments, **keywords)
        if isinstance(self.network, OptimizedModule):
            # As a whole it would be compiled anew for every subset. Nothing is compiled before its first use.
            self.network = unwrapped(self.network)
            self.network.compile_parts()
        self._settle_modalities()

    def _settle_modalities(self) -> None:
        missing, available = (self.options.missing, self.options.available) if self.options else ((), ())
        kept = kept_modalities(self.modalities, missing, available)
        network = unwrapped(self.network)
        required = network.required
        if required is not None and not set(required) <= set(kept):
            raise SettingsError(
                f"The model needs {self.modalities.label(required)}, but --missing or --available leave "
                f"{self.modalities.label(kept)}. A network for one subset cannot do without a part of it."
            )
        self.kept = kept if required is None else required
        require_image_decoders(network, self.sampling)
        if self.options and self.options.sampling.num_samples and not network.stochastic:
            print("The model has no latents to draw: --num_samples does nothing; volumes.csv comes with a calibration.")

    @property
    def modalities(self) -> Modalities:
        """The model's modalities."""
        return Modalities.from_dataset_json(self.dataset_json)

    @property
    def sampling(self) -> SamplingOptions:
        """Draws of the latents, none for a network that has none, and what to keep besides the segmentation."""
        chosen = self.options.sampling if self.options else SamplingOptions()
        return chosen if unwrapped(self.network).stochastic else dataclasses.replace(chosen, num_samples=0)

    @property
    def model(self) -> LoadedModel:
        """The model as it is now, with this predictor's settings; later changes of these do not reach it."""
        trained = self._trained
        known = (trained.landmarks, trained.orientation) if trained else ()
        axes = self.allowed_mirroring_axes if self.use_mirroring else None
        model = LoadedModel(
            unwrapped(self.network),
            tuple(self.list_of_parameters or ()),
            Preparation(self.plans_manager, self.configuration_manager, self.dataset_json, *known),
            self.kept,
            self.sampling,
            Tiles(self.tile_step_size, self.use_gaussian, axes, self.verbose),
            self.device,
            self.perform_everything_on_device,
            self.allow_tqdm,
            trained.intensity if trained else None,
        )
        calibration, why_not = self.calibration.in_use(model) if self.calibration else (None, "")
        demands = self.options.demands if self.options else Demands()
        return dataclasses.replace(model, calibration=calibration, uncalibrated=why_not, demands=demands)

    # -- one case -----------------------------------------------------------------------------------------------------

    def predict(
        self, images: Mapping[str, Image], spacing: Spacing = None, case: str = "", affine: Affine = None
    ) -> Prediction:
        """Segment one case, complete what it lacks, and say how sure that is.

        Args:
            images: By modality, upper and lower case are the same; what is not given is missing. Either files, or
                arrays on one grid; without an affine with the axes of the training images as SimpleITK gives them.
            spacing: Of arrays without an affine: edges of a voxel in mm, in the order of the axes.
            case: With the options' seed it settles the draws. The result is that of the command if it is the case's
                name there.
            affine: Index to position, mm, RAS, (4, 4), of arrays with any axes: nibabel's arrays with nibabel's affine.

        Raises:
            SettingsError: If a modality is unknown, files and arrays are mixed, or spacing and affine do not do.
            DataError: If an image cannot be used.

        Example:
            >>> predictor = HeteroModalPredictor.from_model_folder(model_folder, device="cpu")
            >>> prediction = predictor.predict({"T1c": t1c, "FLAIR": flair}, spacing=(1.0, 1.0, 1.0))
            >>> prediction.segmentation.shape == t1c.shape
            True
            >>> sorted(prediction.completed)
            ['T1', 'T2']
            >>> list(prediction.volumes)
            ['whole tumor', 'tumor core', 'enhancing tumor']
        """
        return predict_images(self.model, images, spacing, case, affine)

    def predict_case(self, data: torch.Tensor, properties: dict, case: str) -> CasePrediction:
        """Segment one preprocessed case, and compute whatever else the options ask for.

        Args:
            data: ``(M, *spatial)``; the modalities whose channel is not identically zero are available, in every tile.
            properties: Those of the preprocessed case.
            case: Its name; with the seed it settles the draws.
        """
        model = self.model
        require_prepared(model, data, properties, case)
        return predict_case(model, data, properties, case)

    # -- files in, files out ------------------------------------------------------------------------------------------

    def predict_from_files(
        self,
        list_of_lists_or_source_folder: str | os.PathLike | list[list[str]],
        output_folder_or_list_of_truncated_output_files: str | os.PathLike | list[str] | None,
        save_probabilities: bool = False,
        overwrite: bool = True,
        num_processes_preprocessing: int = default_num_processes,
        num_processes_segmentation_export: int = default_num_processes,
        folder_with_segs_from_prev_stage: str | None = None,
        num_parts: int = 1,
        part_id: int = 0,
    ) -> list | None:
        """Predict cases from files, some of which may not exist; see nnU-Net for the arguments.

        With 0 processes for a step this process does it. A case's files appear when all of them are whole, the
        segmentation last. Beside them: ``modalities.json`` (what each case was segmented from), ``run.json`` (by which
        model, how long it took) and, if cases failed, ``failed.json``.

        Raises:
            DataError: If the input folder has no case, or no case could be predicted. Otherwise bad cases are left out
                and named in `failed`.
            SettingsError: If a previous stage's predictions are given (the model is no cascade), if the calibration
                does not give what is asked for, or if another process is at work on these cases in the folder.
        """
        self.refuse_cascade(folder_with_segs_from_prev_stage)
        source, outputs = list_of_lists_or_source_folder, output_folder_or_list_of_truncated_output_files
        if isinstance(outputs, os.PathLike):
            # nnU-Net would take any other type than str and list for "return the results".
            outputs = str(outputs)
        self.failed = {}
        processes = num_processes_preprocessing, num_processes_segmentation_export
        cases, paths = self.cases_of_part(source, outputs, part_id, num_parts, save_probabilities)
        if outputs is None:
            return self._predict_all(cases, paths, save_probabilities, *processes) if cases else None
        arguments = {
            "list_of_lists_or_source_folder": source,
            "output_folder_or_list_of_truncated_output_files": outputs,
            "save_probabilities": save_probabilities,
            "overwrite": overwrite,
            "num_processes_preprocessing": num_processes_preprocessing,
            "num_processes_segmentation_export": num_processes_segmentation_export,
            "folder_with_segs_from_prev_stage": None,
            "num_parts": num_parts,
            "part_id": part_id,
        }
        folder = outputs if isinstance(outputs, str) else os.path.dirname(outputs[0]) or os.curdir
        with alone_with(paths):
            writer = CaseWriter.of_model(self.model, save_probabilities)
            if not overwrite:
                cases, paths = still_to_do(cases, paths, self.model, writer)
            write_settings(folder, arguments, self.dataset_json, self.plans_manager.plans)
            tell_of_calibration(self.model, folder)
            forget([path for path in paths if path is not None], writer)
            return self._predict_all(cases, paths, save_probabilities, *processes) if cases else None

    def _predict_all(self, cases: Sequence[Case], outputs: Sequence[str | None], *arguments: Any) -> list:
        result = self.predict_cases(cases, outputs, *arguments)
        if len(self.failed) == len(cases):
            reasons = "\n".join(f"  {reason}" for reason in self.failed.values())
            raise DataError(f"None of the {len(cases)} case(s) could be predicted:\n{reasons}")
        return result

    def predict_cases(
        self,
        cases: Sequence[Case],
        outputs: Sequence[str | None],
        save_probabilities: bool,
        num_processes_preprocessing: int,
        num_processes_segmentation_export: int,
    ) -> list:
        """Predict cases whatever is there of them, see `predict_from_files`; those that fail are named in `failed`.

        Args:
            cases: The cases.
            outputs: Path of each case's files without ending; None returns the result.
            save_probabilities: See nnU-Net.
            num_processes_preprocessing: See nnU-Net.
            num_processes_segmentation_export: See nnU-Net.
        """
        items = self._internal_get_data_iterator_from_lists_of_filenames(
            cases, None, outputs, num_processes_preprocessing
        )
        with contextlib.closing(items):
            return self.predict_from_data_iterator(items, save_probabilities, num_processes_segmentation_export)

    def predict_from_files_sequential(
        self,
        list_of_lists_or_source_folder: str | os.PathLike | list[list[str]],
        output_folder_or_list_of_truncated_output_files: str | os.PathLike | list[str] | None,
        save_probabilities: bool = False,
        overwrite: bool = True,
        folder_with_segs_from_prev_stage: str | None = None,
    ) -> list | None:
        """The same without background processes."""
        return self.predict_from_files(
            list_of_lists_or_source_folder,
            output_folder_or_list_of_truncated_output_files,
            save_probabilities,
            overwrite,
            num_processes_preprocessing=0,
            num_processes_segmentation_export=0,
            folder_with_segs_from_prev_stage=folder_with_segs_from_prev_stage,
        )

    @staticmethod
    def refuse_cascade(previous_stage: str | None) -> None:
        """Refuse predictions of a previous stage.

        Raises:
            SettingsError: If some are given.
        """
        if previous_stage is not None:
            raise SettingsError(
                "-prev_stage_predictions is given, but hetero-modal models are no cascades: a previous stage's "
                "segmentation is no modality that could be missing. Leave the flag out."
            )

    def cases_of_part(
        self, source: Any, outputs: Any, part_id: int = 0, num_parts: int = 1, save_probabilities: bool = False
    ) -> tuple[list[Case], Sequence[str | None]]:
        """The cases of a part, and their output files without ending; see `predict_from_files`, also for errors."""
        require_calibration(self.model)
        cases = find_cases(source, self.modalities, self.dataset_json["file_ending"], self.kept)
        paths = checked_outputs(outputs, source, cases, CaseWriter.of_model(self.model, save_probabilities))
        cases, paths = cases[part_id::num_parts], paths[part_id::num_parts]
        print(f"{len(cases)} case(s) to predict (part {part_id} of {num_parts}).")
        return cases, paths

    def _internal_get_data_iterator_from_lists_of_filenames(
        self, cases: Sequence[Case], _previous_stage: None, outputs: Sequence[str | None], num_processes: int
    ) -> Generator[dict, None, None]:
        """nnU-Net's hook: the preprocessed cases, as its prediction loop takes them, and what is wrong with others."""
        return prepared_items(self.model, MadeFrom(self.model), cases, outputs, num_processes)

    def describe_run(self, save_probabilities: bool = False) -> dict | None:
        """What ``run.json`` says of a call; None for a model that was not loaded from its folder."""
        if self._trained is None:
            return None
        flags = {
            **(dataclasses.asdict(self.options) if self.options else {}),
            "step_size": self.tile_step_size,
            "mirroring": self.use_mirroring,
            "save_probabilities": save_probabilities,
        }
        return describe_run(self._trained.description, self._trained.checkpoints, flags, self.device)

    def predict_from_data_iterator(
        self,
        data_iterator: Any,
        save_probabilities: bool = False,
        num_processes_segmentation_export: int = default_num_processes,
    ) -> list:
        """See nnU-Net; with 0 processes the export happens in this one. A bad case does not stop the others."""
        writer = CaseWriter.of_model(self.model, save_probabilities)
        run = self.describe_run(save_probabilities)
        with Batch(self.predict_case, self.device, writer, run, num_processes_segmentation_export) as batch:
            try:
                for item in data_iterator:
                    if "failure" in item:
                        batch.fail(item["name"], item["ofile"], item["failure"])
                    else:
                        batch.add(BatchItem.of(item))
                results = batch.finish()
            finally:
                self.failed |= batch.failed
        compute_gaussian.cache_clear()
        empty_cache(self.device)
        return results
