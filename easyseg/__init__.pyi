from easyseg import errors as errors
from easyseg.api import SemanticSegmentation as SemanticSegmentation
from easyseg.api import list_models as list_models
from easyseg.datasets import open_dataset as open_dataset
from easyseg.datasets.base import Dataset as Dataset
from easyseg.datasets.base import Sample as Sample
from easyseg.inference.predictor import Predictor as Predictor
from easyseg.io.read_image import read_image as read_image
from easyseg.models.backbones.custom_keras import keras_graph as keras_graph
from easyseg.models.build import build_model as build_model
from easyseg.models.config import ModelConfig as ModelConfig
from easyseg.models.presets import preset as preset
from easyseg.results.label_set import LabelSet as LabelSet
from easyseg.results.label_set import load_label_set as load_label_set
from easyseg.results.segmentation import Segmentation as Segmentation
from easyseg.training.config import TrainConfig as TrainConfig
from easyseg.weights.transfer import transfer as transfer

__version__: str

__all__ = [
    "Dataset",
    "LabelSet",
    "ModelConfig",
    "Predictor",
    "Sample",
    "Segmentation",
    "SemanticSegmentation",
    "TrainConfig",
    "build_model",
    "errors",
    "keras_graph",
    "list_models",
    "load_label_set",
    "open_dataset",
    "preset",
    "read_image",
    "transfer",
]
