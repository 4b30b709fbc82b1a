from easyseg import errors as errors
from easyseg.config import ModelConfig as ModelConfig
from easyseg.facade import SemanticSegmentation as SemanticSegmentation
from easyseg.facade import list_models as list_models
from easyseg.imaging import read_image as read_image
from easyseg.labels import LabelSet as LabelSet
from easyseg.labels import load_label_set as load_label_set
from easyseg.models.build import build_model as build_model
from easyseg.predict import Predictor as Predictor
from easyseg.result import Segmentation as Segmentation

__version__: str

__all__ = [
    "LabelSet",
    "ModelConfig",
    "Predictor",
    "Segmentation",
    "SemanticSegmentation",
    "build_model",
    "errors",
    "list_models",
    "load_label_set",
    "read_image",
]
