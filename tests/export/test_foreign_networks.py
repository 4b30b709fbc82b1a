"""ONNX files of KerasHub's SegFormer and of PyTorch give in easyseg what they give at home."""

import numpy as np
import pytest

from easyseg import SemanticSegmentation

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SCALED = {"mean": tuple(MEAN), "std": tuple(STD)}
NAMES = [f"class {i}" for i in range(5)]
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8).repeat(4, 0).repeat(4, 1)
PIXELS = ((IMAGE[None] / 255 - MEAN) / STD).astype(np.float32)  # (1, 64, 96, 3)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # other people's converters
]


def segformer():
    keras_hub = pytest.importorskip("keras_hub", reason="needs KerasHub: pip install easyseg[hub]")
    encoder = keras_hub.models.MiTBackbone(
        num_layers=4,
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        layerwise_depths=[1, 1, 1, 1],
        layerwise_num_heads=[1, 1, 2, 2],
        hidden_dims=[4, 8, 12, 16],
        max_drop_path_rate=0.1,
        image_shape=(64, 64, 3),  # it takes squares only
    )
    backbone = keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=16)
    return keras_hub.models.SegFormerImageSegmenter(backbone, num_classes=len(NAMES))


@pytest.mark.parametrize("quarter", [False, True])
def test_segformer_of_keras_hub(tmp_path, quarter):
    """With its own upsampling to the image's size, and without, as transformers export it."""
    import keras
    import tensorflow as tf
    import tf2onnx

    keras.utils.set_random_seed(0)
    full = segformer()
    network = full
    if quarter:
        network = keras.Model(full.inputs, full.layers[-1].input)
        assert network.output_shape[1:3] == (16, 16)
    path = tmp_path / "segformer.onnx"
    function = tf.function(lambda pixels: network(pixels, training=False), autograph=False)
    # Keras's own export gives reshapes that ONNX Runtime cannot compute
    model, _ = tf2onnx.convert.from_function(
        function, [tf.TensorSpec((1, 64, 64, 3), name="pixels")], opset=17
    )
    path.write_bytes(model.SerializeToString())
    seg = SemanticSegmentation(path, class_names=NAMES, **SCALED, cache_dir=tmp_path)
    # as a graph: called outside one, this network gives other numbers
    scores = tf.function(lambda pixels: full(pixels, training=False), autograph=False)
    expected = scores(tf.constant(PIXELS[:, :, :64])).numpy()[0].argmax(-1)
    assert len(np.unique(expected)) > 1
    assert (seg.segment_image(IMAGE[:, :64]).labels == expected).mean() >= 0.9995


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_network_of_pytorch(tmp_path, dynamic):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, 2, 1),
        torch.nn.BatchNorm2d(16),
        torch.nn.Conv2d(16, len(NAMES), 1),
    ).eval()
    pixels = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy())
    axes = {"pixels": {0: "n", 2: "h", 3: "w"}, "logits": {0: "n", 2: "h4", 3: "w4"}}
    torch.onnx.export(
        network,
        (pixels,),
        tmp_path / "net.onnx",
        input_names=["pixels"],
        output_names=["logits"],
        dynamo=False,  # the newer exporter needs onnxscript
        dynamic_axes=axes if dynamic else None,
    )
    size = {"input_size": (64, 96)} if dynamic else {}
    seg = SemanticSegmentation(
        tmp_path / "net.onnx", class_names=NAMES, **SCALED, **size, cache_dir=tmp_path
    )
    with torch.no_grad():
        logits = torch.nn.functional.interpolate(
            network(pixels), size=(64, 96), mode="bilinear", align_corners=False
        )
    expected = logits[0].argmax(0).numpy()
    assert len(np.unique(expected)) > 1
    assert (seg.segment_image(IMAGE).labels == expected).mean() >= 0.9995
