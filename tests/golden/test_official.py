"""Parity with Google's graph on golden weights: logits, labels, image in and labels out.

Tolerances: logits within 2e-4 of the largest golden logit; labels equal on 99.95 % of the pixels
of network outputs and on 99.9 % of the pixels of whole images.
"""

from __future__ import annotations

import functools
import importlib

import numpy as np
import pytest
from golden.google_graph import graph_size, resize_in_graph, segment_as_graph

from easyseg.inference.runtimes import RUNTIMES, RuntimeSpec, installed
from easyseg.models.config import ModelConfig

XCEPTION = ModelConfig()
MOBILENET = ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none")
MOBILENET_V3 = ModelConfig(
    backbone="mobilenetv3_large",
    num_classes=19,
    output_stride=32,
    head="lraspp",
    head_channels=128,
    decoder="lraspp",
    input_size=(769, 769),
)
CONFIGS = {
    "xception65_pascal_os16": XCEPTION,
    "xception65_pascal_os8": XCEPTION.replace(output_stride=8),
    "xception65_ade20k_os16": XCEPTION.replace(num_classes=151),
    "xception65_cityscapes_os16": XCEPTION.replace(num_classes=19),
    "xception41_pascal_os16": XCEPTION.replace(backbone="xception41"),
    "mobilenetv2_pascal_os16": MOBILENET,
    "mobilenetv2_pascal_os8": MOBILENET.replace(output_stride=8),
    "mobilenetv2_dm05_pascal_os16": MOBILENET.replace(depth_multiplier=0.5),
    "mobilenetv2_ade20k_os16": MOBILENET.replace(
        num_classes=151, decoder="deeplabv3plus", input_size=(257, 257)
    ),
    "mobilenetv2_cityscapes_os16": MOBILENET.replace(num_classes=19),
    "xception71_dpc_cityscapes_os16": ModelConfig(
        backbone="xception71", num_classes=19, head="dpc"
    ),
    "resnet50_beta_pascal_os16": ModelConfig(backbone="resnet50_beta"),
    "resnet101_beta_pascal_os16": ModelConfig(backbone="resnet101_beta"),
    "mobilenetv3_large_cityscapes_os32": MOBILENET_V3,
    "mobilenetv3_small_cityscapes_os32": MOBILENET_V3.replace(backbone="mobilenetv3_small"),
}
SIZES = {
    "xception65_pascal_os16": ("65x65", "96x128", "97x129"),
    "xception65_pascal_os8": ("97x129",),
    "xception65_ade20k_os16": ("97x129",),
    "xception65_cityscapes_os16": ("65x65", "97x129"),
    "xception41_pascal_os16": ("97x129",),
    "mobilenetv2_pascal_os16": ("65x65", "96x128", "97x129"),
    "mobilenetv2_pascal_os8": ("65x65", "96x128", "97x129"),
    "mobilenetv2_dm05_pascal_os16": ("97x129",),
    "mobilenetv2_ade20k_os16": ("97x129",),
    "mobilenetv2_cityscapes_os16": ("65x65", "97x129"),
    "xception71_dpc_cityscapes_os16": ("97x129",),
    "resnet50_beta_pascal_os16": ("65x65", "97x129"),
    "resnet101_beta_pascal_os16": ("97x129",),
    "mobilenetv3_large_cityscapes_os32": ("769x769",),
    "mobilenetv3_small_cityscapes_os32": ("769x769",),
}
QUICK_VARIANTS = ("mobilenetv2", "xception65_pascal_os16")  # the others are slow, which CI runs too
RESIZE, RESIZE_16, NO_RESIZE = {}, {"factor": 16}, {"resize": False}
FULL = {  # file: (variant, resize in the graph)
    "full_xception65_pascal_os16_crop513_noresize": ("xception65_pascal_os16", NO_RESIZE),
    "full_xception65_pascal_os16_crop513_resize513": ("xception65_pascal_os16", RESIZE),
    "full_xception65_pascal_os16_crop513_resize513_factor16": ("xception65_pascal_os16", RESIZE_16),
    "full_xception65_ade20k_os16_crop513_noresize": ("xception65_ade20k_os16", NO_RESIZE),
    "full_xception65_ade20k_os16_crop513_resize513": ("xception65_ade20k_os16", RESIZE),
    "full_mobilenetv2_pascal_os16_crop513_noresize": ("mobilenetv2_pascal_os16", NO_RESIZE),
    "full_mobilenetv2_pascal_os16_crop513_resize513": ("mobilenetv2_pascal_os16", RESIZE),
    "full_mobilenetv2_pascal_os16_crop513_resize513_factor16": (
        "mobilenetv2_pascal_os16",
        RESIZE_16,
    ),
    "full_mobilenetv2_pascal_os8_crop513_noresize": ("mobilenetv2_pascal_os8", NO_RESIZE),
    "full_mobilenetv2_pascal_os8_crop513_resize513": ("mobilenetv2_pascal_os8", RESIZE),
    "full_mobilenetv2_ade20k_os16_crop257_resize257": ("mobilenetv2_ade20k_os16", RESIZE),
}


@pytest.fixture(scope="module")
def network(golden):
    """Networks with golden weights, loaded from checkpoints; two variants at most are kept."""
    from easyseg.models.build import build_model
    from easyseg.weights.readers import load_weights

    @functools.lru_cache(maxsize=2)
    def build(variant):
        model = build_model(CONFIGS[variant])
        load_weights(model, golden.checkpoint(variant), "tf_checkpoint")
        return model

    return build


def size_of(text):
    return tuple(int(side) for side in text.split("x"))


@pytest.mark.parametrize(
    ("variant", "size"),
    [
        pytest.param(v, s, marks=[] if v.startswith(QUICK_VARIANTS) else [pytest.mark.slow])
        for v, sizes in SIZES.items()
        for s in sizes
    ],
)
def test_logits_and_labels(golden, network, record_property, variant, size):
    from easyseg.models.build import logits_model

    model = network(variant)
    arrays = golden.arrays(f"official/{variant}_{size}")
    image = golden.image(arrays, *size_of(size))[None]
    low = np.asarray(logits_model(model)(image))[0]
    full = np.asarray(model(image))[0]
    step, largest = int(arrays["logits_up_step"]), np.abs(arrays["logits_low"]).max()
    np.testing.assert_allclose(low, arrays["logits_low"], atol=2e-4 * largest, rtol=0)
    np.testing.assert_allclose(
        full[::step, ::step], arrays["logits_up_sub"], atol=2e-4 * largest, rtol=0
    )
    agreement = (full.argmax(-1) == arrays["labels"]).mean()
    record_property("logits", np.abs(low - arrays["logits_low"]).max() / largest)
    record_property("labels", agreement)
    assert agreement >= 0.9995


def enlarged(logits, rows, cols):
    """`(h, w, classes)` -> `(H, W, classes)`, bilinear at these positions."""
    for axis, at in enumerate((rows, cols)):
        below = at.astype(np.intp)
        above = np.minimum(below + 1, logits.shape[axis] - 1)
        part = np.expand_dims(at - below, (1, 2) if axis == 0 else (0, 2))
        logits = logits.take(below, axis) * (1 - part) + logits.take(above, axis) * part
    return logits


@pytest.mark.parametrize(
    ("runtime", "file_format"),
    [(n, f) for n, entry in RUNTIMES.items() if installed(n) for f in entry.file_formats],
)
@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(v, marks=[] if v == "mobilenetv2_pascal_os16" else [pytest.mark.slow])
        for v, sizes in SIZES.items()
        if "97x129" in sizes
    ],
)
@pytest.mark.filterwarnings("default")  # other people's converters
def test_runtimes(golden, network, record_property, variant, runtime, file_format, tmp_path):
    """Against Google's labels, and 99.99 % of Keras's."""
    from easyseg import LabelSet, LoadedModel, ModelConfig
    from easyseg.export.export import export_model
    from easyseg.export.options import FORMATS, ExportOptions
    from easyseg.models.build import logits_model
    from easyseg.results.logit_grid import LogitGrid

    size = (97, 129)
    arrays, model = golden.arrays(f"official/{variant}_97x129"), network(variant)
    classes = model.output_shape[-1]
    labels = LabelSet("numbers", tuple(map(str, range(classes))), ((0, 0, 0),) * classes)
    loaded = LoadedModel(model, ModelConfig(num_classes=classes), labels)
    path = tmp_path / f"network{FORMATS[file_format].extension}"
    export_model(
        path, ExportOptions(file_format, size=size, output="logits", check=False), lambda: loaded
    )
    image = golden.image(arrays, *size)[None]
    start = importlib.import_module(RUNTIMES[runtime].module).start
    low = start(RuntimeSpec(path, size))(image)[0]
    largest = np.abs(arrays["logits_low"]).max()
    np.testing.assert_allclose(low, arrays["logits_low"], atol=2e-4 * largest, rtol=0)
    grid = [np.linspace(0, n - 1, side) for n, side in zip(low.shape, size, strict=False)]
    found = LogitGrid(low, *grid).labels()
    by_keras = enlarged(np.asarray(logits_model(model)(image))[0], *grid)  # (H, W, classes)
    record_property("labels", (found == by_keras.argmax(-1)).mean())
    chosen = np.take_along_axis(by_keras, found[..., None].astype(np.intp), -1)[..., 0]
    assert (by_keras.max(-1) - chosen).max() <= 1e-5 * largest  # no other label but in a tie
    assert (found == by_keras.argmax(-1)).mean() >= 0.9995
    assert (found == arrays["labels"]).mean() >= 0.9995


@pytest.mark.parametrize(
    "variant",
    [pytest.param("xception65_pascal_os16", marks=pytest.mark.slow), "mobilenetv2_pascal_os16"],
)
@pytest.mark.parametrize("size", ["97x113", "65x129"])
def test_images_smaller_than_the_crop(golden, network, record_property, variant, size):
    predict = predictor(network(variant), 21, (129, 129))
    arrays = golden.arrays(f"official/pad_{variant}_crop129")
    result = predict.one(golden.image(arrays, *size_of(size)))
    low, expected = result.grid.logits, arrays[f"logits_low_{size}"]
    np.testing.assert_allclose(low, expected, atol=2e-4 * np.abs(expected).max(), rtol=0)
    agreement = (result.labels == arrays[f"labels_{size}"]).mean()
    record_property("labels", agreement)
    assert agreement >= 0.999
    for class_id in (0, 7, 20):
        np.testing.assert_allclose(
            result.grid.probability([class_id])[::8, ::8],
            arrays[f"probabilities_sub8_{size}"][..., class_id],
            atol=2e-3,
        )


def predictor(model, classes, input_size):
    from easyseg.inference.predictor import Predictor
    from easyseg.results.label_set import LabelSet

    names = tuple(f"class {i}" for i in range(classes))
    label_set = LabelSet("golden", names, ((0, 0, 0),) * classes)
    return Predictor(model, label_set, input_size=input_size)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if "mobilenet" in name else [pytest.mark.slow]) for name in FULL],
)
def test_image_in_labels_out(golden, network, record_property, name):
    variant, resize = FULL[name]
    config = CONFIGS[variant]
    predict = predictor(network(variant), config.num_classes, config.input_size)
    arrays = golden.arrays(f"official/{name}")
    for key in (k for k in arrays if k.startswith("labels_")):
        size = key.removeprefix("labels_")
        image = golden.image(arrays, *size_of(size))
        padded = resize_in_graph(image, predict.input_size, **resize).padded
        np.testing.assert_allclose(
            padded[::16, ::16], arrays[f"model_input_sub16_{size}"], atol=2e-3, err_msg=size
        )
        result = segment_as_graph(predict, image, **resize)
        expected = arrays[f"logits_low_sub4_{size}"]
        np.testing.assert_allclose(
            result.grid.logits[::4, ::4], expected, atol=2e-4 * np.abs(expected).max(), rtol=0
        )
        agreement = (result.labels == arrays[key]).mean()
        record_property(f"labels {size}", agreement)
        assert agreement >= 0.999, size


def test_size_rule(golden):
    import json

    for case in json.loads((golden.root / "official/resize_to_range.json").read_text()):
        size = graph_size(
            (case["height"], case["width"]),
            case["max_size"],
            case["factor"],
            shortest=case["min_size"],
        )
        assert list(size) == case["new_size"], case


def test_resize_is_right_when_compiled_by_xla():
    """Where a position is whole, position and weight must not be rounded separately."""
    import tensorflow as tf

    from easyseg.models.layers.resize import resize_align_corners

    rng = np.random.default_rng(0)
    jitted = tf.function(resize_align_corners, jit_compile=True, autograph=False)
    for source, target in ((6, 96), (33, 129), (9, 65), (5, 65), (1, 7), (7, 1)):
        x = rng.standard_normal((1, source, source, 3)).astype(np.float32)
        at = np.arange(target) * (source - 1) / max(target - 1, 1)
        matrix = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(source)))
        expected = np.einsum("yi,xj,nijc->nyxc", matrix, matrix, x)
        got = jitted(tf.constant(x), (target, target)).numpy()
        np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=f"{source} to {target}")


@pytest.mark.slow
def test_parity_under_jax(golden, tmp_path):
    """The same weights and the same code on Keras's JAX backend, in a process of its own."""
    import os
    import subprocess
    import sys

    pytest.importorskip("jax", reason="needs the jax extra: pip install easyseg[jax]")
    script = tmp_path / "parity.py"
    script.write_text(
        "import sys, numpy as np\n"
        "from easyseg._keras import backend\n"
        "from easyseg.models.config import ModelConfig\n"
        "from easyseg.results.label_set import load_label_set\n"
        "from easyseg.models.build import build_model\n"
        "from easyseg.inference.predictor import Predictor\n"
        "from easyseg.weights.readers import load_weights\n"
        "from pathlib import Path\n"
        "assert backend() == 'jax'\n"
        "model = build_model(ModelConfig())\n"
        "load_weights(model, Path(sys.argv[1]), 'tf_checkpoint')\n"
        "data = np.load(sys.argv[2])\n"
        "predict = Predictor(model, load_label_set('voc'), input_size=(97, 129))\n"
        "result = predict.one(data['image'])\n"
        "worst = np.abs(result.grid.logits - data['logits_low']).max()\n"
        "assert worst <= 2e-4 * np.abs(data['logits_low']).max(), worst\n"
        "assert (result.labels == data['labels']).mean() >= 0.9995\n"
    )
    arrays = golden.root / "official/xception65_pascal_os16_97x129.npz"
    done = subprocess.run(
        [sys.executable, script, golden.checkpoint("xception65_pascal_os16"), arrays],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
