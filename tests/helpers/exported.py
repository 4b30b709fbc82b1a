"""A small model in a folder, and its exported file."""

from easyseg import SemanticSegmentation

SIZE = (65, 65)


def create_tiny(folder, **fields):
    """Saves a model on the backbone `tiny` (see `tiny_backbone`), which must be registered."""
    seg = SemanticSegmentation.create(
        "tiny", class_names=["sky", "car", "dog"], head_channels=8, input_size=SIZE, **fields
    )
    return seg.save(folder)
