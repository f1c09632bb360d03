"""nnU-Net's predictor for cases that lack modalities."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.helpers import empty_cache
from torch._dynamo import OptimizedModule

from nnunet_hetero.cases.find import Case, find_cases, kept_modalities
from nnunet_hetero.cases.histogram import Landmarks
from nnunet_hetero.cases.intensity_scale import IntensityScale, intensity_scales
from nnunet_hetero.cases.prepare import Failure, prepare_cases
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.batch import Batch, BatchItem, is_whole, make_ready, write_settings
from nnunet_hetero.inference.engine.case_prediction import (
    millilitres_per_voxel,
    predict_preprocessed,
    require_image_decoders,
)
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions
from nnunet_hetero.inference.engine.network_steps import is_stochastic, required_modalities
from nnunet_hetero.inference.from_python import PythonInterface
from nnunet_hetero.inference.model.model_folder import LoadedModel, checked_folds, load_model, require_landmarks
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.modality_record import describe, record
from nnunet_hetero.inference.output.run_record import describe_run
from nnunet_hetero.io.atomic_files import clear_drafts
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.regions import regions_of

if TYPE_CHECKING:
    from nnunet_hetero.inference.options import PredictionOptions


class HeteroModalPredictor(PythonInterface, nnUNetPredictor):
    """Predicts with any subset of the modalities, otherwise as nnU-Net does.

    A case's subset is settled once, before the sliding window: a tile in which a present modality happens to be zero is
    still encoded from it. Probabilities are averaged over draws of the latents; the draws follow from the options' seed
    and the case's name, so the same case gives the same output.

    Args:
        options: Modalities to switch off for all cases; None switches none off.
        **nnunet_arguments: Those of ``nnUNetPredictor``.

    Attributes:
        modalities: The model's modalities, known once it is initialised.
        kept: Channels that the options leave on.
        failed: Reason by case for those that could not be predicted, since the last call began.
    """

    def __init__(self, *, options: PredictionOptions | None = None, **nnunet_arguments):
        super().__init__(**nnunet_arguments)
        self.options = options
        self.failed: dict[str, str] = {}
        self._model: LoadedModel | None = None

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
        trusted = bool(self.options and self.options.trust_checkpoint)
        model = load_model(model_training_output_dir, folds, checkpoint_name, trusted)
        self.manual_initialization(
            model.network,
            model.plans_manager,
            model.configuration_manager,
            model.parameters,
            model.dataset_json,
            model.trainer_name,
            model.mirroring_axes,
        )
        self._model = model

    def manual_initialization(self, *arguments, **keywords) -> None:
        """See nnU-Net; with ``nnUNet_compile`` the network's parts are compiled, as in training."""
        super().manual_initialization(*arguments, **keywords)
        if isinstance(self.network, OptimizedModule):
            # As a whole it would be compiled anew for every subset. Nothing is compiled before its first use.
            self.network = self.network._orig_mod
            self.network.compile_parts()
        self._settle_modalities()

    def _settle_modalities(self) -> None:
        self.modalities = Modalities.from_dataset_json(self.dataset_json)
        missing, available = (self.options.missing, self.options.available) if self.options else ((), ())
        self.kept = kept_modalities(self.modalities, missing, available)
        required = required_modalities(self.network)
        if required is not None:
            if not set(required) <= set(self.kept):
                raise SettingsError(
                    f"The model needs {self.modalities.label(required)}, but --missing or --available leave "
                    f"{self.modalities.label(self.kept)}. A network for one subset cannot do without a part of it."
                )
            self.kept = required
        require_image_decoders(self.network, self.sampling)
        if self.options and self.options.sampling.num_samples and not is_stochastic(self.network):
            print("The model has no latents to draw: --num_samples does nothing, and there is no volumes.csv.")

    # -- files in, files out ------------------------------------------------------------------------------------------

    def predict_from_files(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        save_probabilities: bool = False,
        overwrite: bool = True,
        num_processes_preprocessing: int = default_num_processes,
        num_processes_segmentation_export: int = default_num_processes,
        folder_with_segs_from_prev_stage: str | None = None,
        num_parts: int = 1,
        part_id: int = 0,
    ):
        """Predict cases from files, some of which may not exist; see nnU-Net for the arguments.

        With 0 processes for a step this process does it. A case's files appear when all of them are whole, the
        segmentation last. Beside them: ``modalities.json`` (what each case was segmented from), ``run.json`` (by which
        model, how long it took) and, if cases failed, ``failed.json``.

        Raises:
            DataError: If the input folder has no case, or no case could be predicted. Otherwise bad cases are left out
                and named in `failed`.
            SettingsError: If a previous stage's predictions are given; the model is no cascade.
        """
        if folder_with_segs_from_prev_stage is not None:
            raise SettingsError(
                "-prev_stage_predictions is given, but hetero-modal models are no cascades: a previous stage's "
                "segmentation is no modality that could be missing. Leave the flag out."
            )
        source, outputs = list_of_lists_or_source_folder, output_folder_or_list_of_truncated_output_files
        if isinstance(outputs, os.PathLike):
            # nnU-Net would take any other type than str and list for "return the results".
            outputs = str(outputs)
        self.failed = {}
        if outputs is not None:
            arguments = {
                "list_of_lists_or_source_folder": source,
                "output_folder_or_list_of_truncated_output_files": outputs,
                "save_probabilities": save_probabilities,
                "overwrite": overwrite,
                "num_processes_preprocessing": num_processes_preprocessing,
                "num_processes_segmentation_export": num_processes_segmentation_export,
                "folder_with_segs_from_prev_stage": folder_with_segs_from_prev_stage,
                "num_parts": num_parts,
                "part_id": part_id,
            }
            folder = outputs if isinstance(outputs, str) else os.path.dirname(outputs[0]) or os.curdir
            write_settings(folder, arguments, self.dataset_json, self.plans_manager.plans)
        cases, outputs, _ = self._manage_input_and_output_lists(
            source, outputs, None, overwrite, part_id, num_parts, save_probabilities
        )
        if not cases:
            return None
        for output in outputs:
            if output is not None:
                make_ready(output, self.writer(save_probabilities))
        items = self._internal_get_data_iterator_from_lists_of_filenames(
            cases, None, outputs, num_processes_preprocessing
        )
        result = self.predict_from_data_iterator(items, save_probabilities, num_processes_segmentation_export)
        if len(self.failed) == len(cases):
            reasons = "\n".join(f"  {reason}" for reason in self.failed.values())
            raise DataError(f"None of the {len(cases)} case(s) could be predicted:\n{reasons}")
        return result

    def predict_from_files_sequential(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        save_probabilities: bool = False,
        overwrite: bool = True,
        folder_with_segs_from_prev_stage: str | None = None,
    ):
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

    def _manage_input_and_output_lists(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        folder_with_segs_from_prev_stage: str | None = None,
        overwrite: bool = True,
        part_id: int = 0,
        num_parts: int = 1,
        save_probabilities: bool = False,
    ) -> tuple[list[Case], list[str] | None, None]:
        """nnU-Net's hook: the cases of this part that are still to do, and their output files without ending."""
        ending = self.dataset_json["file_ending"]
        cases = find_cases(list_of_lists_or_source_folder, self.modalities, ending)[part_id::num_parts]
        outputs = output_folder_or_list_of_truncated_output_files
        if outputs is None:
            outputs = [None] * len(cases)
        elif isinstance(outputs, str):
            outputs = [os.path.join(outputs, case.name) for case in cases]
        else:
            outputs = outputs[part_id::num_parts]
        print(f"{len(cases)} case(s) to predict (part {part_id} of {num_parts}).")
        if not overwrite:
            writer = self.writer(save_probabilities)
            todo = [output is None or not is_whole(output, writer) for output in outputs]
            print(f"{len(cases) - sum(todo)} of them are predicted already.")
            for folder in {os.path.dirname(output) or os.curdir for output in outputs if output is not None}:
                clear_drafts(folder)
            cases = [case for case, needed in zip(cases, todo, strict=True) if needed]
            outputs = [output for output, needed in zip(outputs, todo, strict=True) if needed]
        return cases, outputs, None

    def _internal_get_data_iterator_from_lists_of_filenames(
        self, cases: list[Case], _previous_stage: None, outputs: list[str | None], num_processes: int
    ) -> Iterator[dict]:
        """nnU-Net's hook: the preprocessed cases, as its prediction loop takes them, and what is wrong with others."""
        prepared_cases = prepare_cases(
            cases,
            self.modalities,
            self.kept,
            self.plans_manager,
            self.configuration_manager,
            self.dataset_json,
            self.landmarks,
            num_processes,
        )
        for output, (case, prepared, seconds) in zip(outputs, prepared_cases, strict=True):
            if isinstance(prepared, Failure):
                yield {"name": case.name, "ofile": output, "failure": prepared}
                continue
            entry = record(prepared, self.modalities)
            print(describe(case.name, entry), flush=True)
            yield {
                "data": torch.from_numpy(prepared.data),
                "data_properties": prepared.properties,
                "ofile": output,
                "name": case.name,
                "record": entry,
                "seconds": seconds,
            }

    def predict_from_data_iterator(
        self,
        data_iterator,
        save_probabilities: bool = False,
        num_processes_segmentation_export: int = default_num_processes,
    ) -> list:
        """See nnU-Net; with 0 processes the export happens in this one. A bad case does not stop the others."""
        writer = self.writer(save_probabilities)
        run = self._describe_run(save_probabilities) if self._model else None
        with Batch(self, writer, run, num_processes_segmentation_export) as batch:
            for item in data_iterator:
                if "failure" in item:
                    batch.fail(item["name"], item["ofile"], item["failure"])
                else:
                    batch.add(BatchItem.of(item))
            results = batch.finish()
        compute_gaussian.cache_clear()
        empty_cache(self.device)
        return results

    def writer(self, save_probabilities: bool = False) -> CaseWriter:
        """What writes the files of a case.

        Args:
            save_probabilities: Whether to write nnU-Net's ``.npz`` and ``.pkl``.
        """
        return CaseWriter(
            self.plans_manager,
            self.configuration_manager,
            self.dataset_json,
            self.modalities.names,
            regions_of(self.label_manager),
            self.sampling,
            self.scales,
            save_probabilities,
        )

    @property
    def scales(self) -> tuple[IntensityScale, ...]:
        """How completed images get the intensities of real ones, one per modality."""
        return intensity_scales(
            self.configuration_manager.normalization_schemes,
            self.modalities,
            self.plans_manager.foreground_intensity_properties_per_channel,
            self._model.intensity if self._model else None,
        )

    @property
    def landmarks(self) -> Landmarks | None:
        """Histogram landmarks that the model standardises images to; None if it does not.

        Raises:
            SettingsError: If it does, and they are not known.
        """
        if self._model is not None:
            return self._model.landmarks
        return require_landmarks([], self.configuration_manager, "The model was not loaded from its folder")

    def _describe_run(self, save_probabilities: bool) -> dict:
        model = {
            "folder": self._model.folder,
            "trainer": self.trainer_name,
            "plans": self.plans_manager.plans_name,
            "configuration": self._model.configuration,
        }
        flags = {
            **(dataclasses.asdict(self.options) if self.options else {}),
            "step_size": self.tile_step_size,
            "mirroring": self.use_mirroring,
            "save_probabilities": save_probabilities,
        }
        return describe_run(model, self._model.checkpoints, flags, self.device)

    def to_segmentation(self, logits, properties: dict, return_probabilities: bool = False):
        """Label map on the case's original grid, with probabilities on demand.

        Args:
            logits: ``(K, *spatial)``, from `predict_logits_from_preprocessed_data`.
            properties: Those of the preprocessed case.
            return_probabilities: Whether to return ``(label map, probabilities)``.
        """
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, self.plans_manager, self.configuration_manager, self.label_manager, properties, return_probabilities
        )

    # -- the network --------------------------------------------------------------------------------------------------

    @property
    def sampling(self) -> SamplingOptions:
        """Draws of the latents, none for a network that has none, and what to keep besides the segmentation."""
        chosen = self.options.sampling if self.options else SamplingOptions()
        return chosen if is_stochastic(self.network) else dataclasses.replace(chosen, num_samples=0)

    def predict_case(self, data: torch.Tensor, properties: dict, case: str) -> CasePrediction:
        """Segment one preprocessed case, and compute whatever else the options ask for.

        Args:
            data: ``(M, *spatial)``; the modalities whose channel is not identically zero are available, in every tile.
            properties: Those of the preprocessed case.
            case: Its name; with the seed it settles the draws.
        """
        voxel_volume = millilitres_per_voxel(properties, data.shape[1:])
        return predict_preprocessed(self, data, case, self.sampling, voxel_volume)

    def predict_logits_from_preprocessed_data(self, data: torch.Tensor) -> torch.Tensor:
        """Logits whose softmax (or sigmoid) is the mean probability of all folds, ``(K, *spatial)``.

        Args:
            data: As in `predict_case`.
        """
        return torch.from_numpy(predict_preprocessed(self, data, "", self._segmentation_only()).logits)

    def predict_sliding_window_return_logits(self, input_image: torch.Tensor) -> torch.Tensor:
        """The same for the weights that the network has at present."""
        prediction = predict_preprocessed(self, input_image, "", self._segmentation_only(), parameters=[None])
        return torch.from_numpy(prediction.logits)

    def _segmentation_only(self) -> SamplingOptions:
        return SamplingOptions(self.sampling.num_samples, self.sampling.seed)
