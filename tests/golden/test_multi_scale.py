"""Parity of `scales=` and `flip=` with Google's multi-scale evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet

CONFIGS = {
    "xception65_pascal_os16": ModelConfig(),
    "mobilenetv2_pascal_os16": ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none"),
}
LABELS = LabelSet("golden", tuple(f"class {i}" for i in range(21)), ((0, 0, 0),) * 21)


@pytest.mark.slow  # up to half a minute
@pytest.mark.parametrize("variant", ["xception65_pascal_os16", "mobilenetv2_pascal_os16"])
def test_multi_scale(golden, record_property, variant):
    from easyseg.inference.options import InferenceOptions
    from easyseg.inference.predictor import Predictor
    from easyseg.models.build import build_model
    from easyseg.weights.readers import load_weights

    model = build_model(CONFIGS[variant])
    load_weights(model, golden.checkpoint(variant), "tf_checkpoint")
    for name in ("noflip", "flip"):
        arrays = golden.arrays(f"official/multiscale_{variant}_ms_{name}_97x129")
        result = Predictor(
            model,
            LABELS,
            input_size=(97, 129),
            options=InferenceOptions(
                scales=arrays["scales"].tolist(), flip=bool(arrays["flip"]), runtime="keras"
            ),
        ).one(golden.image(arrays, 97, 129))
        for class_id in range(21):
            np.testing.assert_allclose(
                result.probability([class_id])[::4, ::4],
                arrays["mean_probabilities_sub4"][..., class_id],
                atol=1e-4,
            )
        agreement = (result.labels == arrays["labels"]).mean()
        record_property(f"labels {name}", agreement)
        assert agreement >= 0.999
