"""A small model in a folder, and its exported file."""

from easyseg import SemanticSegmentation
from easyseg._keras import keras

SIZE = (65, 65)


def create_tiny(folder, **fields):
    """Saves a model on the backbone `tiny` (see `tiny_backbone`), which must be registered."""
    keras.utils.set_random_seed(1)  # one whose labels do not depend on rounding
    seg = SemanticSegmentation.create(
        "tiny", class_names=["sky", "car", "dog"], head_channels=8, input_size=SIZE, **fields
    )
    logits = seg.model.get_layer("logits-semantic")
    logits.set_weights([1000 * weight for weight in logits.get_weights()])  # all but equal else
    return seg.save(folder)
