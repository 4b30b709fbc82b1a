from easyseg import errors as errors
from easyseg.api import SemanticSegmentation as SemanticSegmentation
from easyseg.api import list_models as list_models
from easyseg.datasets import open_dataset as open_dataset
from easyseg.datasets.base import Dataset as Dataset
from easyseg.datasets.base import Sample as Sample
from easyseg.datasets.check.check import check_dataset as check_dataset
from easyseg.datasets.check.report import CheckReport as CheckReport
from easyseg.evaluation.class_mapping import ClassMapping as ClassMapping
from easyseg.evaluation.compare import ImageDifference as ImageDifference
from easyseg.evaluation.compare import ModelComparison as ModelComparison
from easyseg.evaluation.compare import compare as compare
from easyseg.evaluation.evaluate import evaluate as evaluate
from easyseg.evaluation.scores import ImageScore as ImageScore
from easyseg.evaluation.scores import Scores as Scores
from easyseg.export.export import ExportSummary as ExportSummary
from easyseg.inference.folder import FolderSummary as FolderSummary
from easyseg.inference.options import InferenceOptions as InferenceOptions
from easyseg.inference.predictor import Predictor as Predictor
from easyseg.inference.scene_areas import SceneSummary as SceneSummary
from easyseg.inference.video import VideoSummary as VideoSummary
from easyseg.io.read_image import read_image as read_image
from easyseg.models.backbones.custom_keras import keras_graph as keras_graph
from easyseg.models.backbones.keras_backbone import KerasBackbone as KerasBackbone
from easyseg.models.build import build_model as build_model
from easyseg.models.config import ModelConfig as ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig as KerasHubConfig
from easyseg.models.presets import preset as preset
from easyseg.results.label_set import LabelSet as LabelSet
from easyseg.results.label_set import load_label_set as load_label_set
from easyseg.results.outputs.spec import OutputSpec as OutputSpec
from easyseg.results.segmentation import Segmentation as Segmentation
from easyseg.training.config import TrainConfig as TrainConfig
from easyseg.weights.loader import LoadedModel as LoadedModel
from easyseg.weights.network_file import ExportedConfig as ExportedConfig
from easyseg.weights.transfer import TransferReport as TransferReport
from easyseg.weights.transfer import transfer as transfer

__version__: str

__all__ = [
    "CheckReport",
    "ClassMapping",
    "Dataset",
    "ExportSummary",
    "ExportedConfig",
    "FolderSummary",
    "ImageDifference",
    "ImageScore",
    "InferenceOptions",
    "KerasBackbone",
    "KerasHubConfig",
    "LabelSet",
    "LoadedModel",
    "ModelComparison",
    "ModelConfig",
    "OutputSpec",
    "Predictor",
    "Sample",
    "SceneSummary",
    "Scores",
    "Segmentation",
    "SemanticSegmentation",
    "TrainConfig",
    "TransferReport",
    "VideoSummary",
    "build_model",
    "check_dataset",
    "compare",
    "errors",
    "evaluate",
    "keras_graph",
    "list_models",
    "load_label_set",
    "open_dataset",
    "preset",
    "read_image",
    "transfer",
]
