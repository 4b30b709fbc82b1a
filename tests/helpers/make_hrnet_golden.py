"""Writes `hrnet.npz`: what timm's HRNet computes with deterministic weights.

    pip install timm==1.0.31 && python tests/helpers/make_hrnet_golden.py

"repeated" is timm's own network. In "aligned", features are enlarged as in the authors'
segmentation code with ALIGN_CORNERS, https://github.com/HRNet/HRNet-Semantic-Segmentation.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

SIZES = {"aligned": (65, 97), "repeated": (64, 96)}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a variable by its name in timm."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) == 4:
        return (rng.normal(0, 1, shape) / np.prod(shape[1:]) ** 0.5).astype(np.float32)
    low, high = (0.5, 1.5) if name.endswith("running_var") else (0.2, 0.7)
    if not name.endswith(("running_var", "weight")):
        low, high = -0.3, 0.3
    return rng.uniform(low, high, shape).astype(np.float32)


def image(size: tuple[int, int]) -> np.ndarray:
    """`(1, H, W, 3) float32`, 0 to 255."""
    return np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.float32)


def sample(features: np.ndarray) -> np.ndarray:
    """200 of the values of `(1, h, w, C)`."""
    return features.reshape(-1)[np.random.default_rng(1).choice(features.size, 200, replace=False)]


def main() -> None:
    import timm
    import torch
    from timm.models.hrnet import HighResolutionModule
    from torch.nn import functional

    def enlarge(x, like, kind):
        size = like.shape[-2:]
        if kind == "repeated":
            return functional.interpolate(x, size=size, mode="nearest")
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)

    def aligned(self, xs):
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        fused = []
        for i, row in enumerate(self.fuse_layers):
            terms = [
                enlarge(f[1](f[0](xs[j])), xs[i], "aligned") if j > i else f(xs[j])
                for j, f in enumerate(row)
            ]
            fused.append(torch.relu(sum(terms)))
        return fused

    golden = {}
    own = HighResolutionModule.forward
    for name in ("hrnet_w18", "hrnet_w32", "hrnet_w48"):
        model = timm.create_model(name).eval()
        for key, tensor in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(torch.from_numpy(weight(key, tuple(tensor.shape))))
        for kind, size in SIZES.items():
            HighResolutionModule.forward = aligned if kind == "aligned" else own
            x = (image(size) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
            with torch.no_grad():
                x = torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2)
                x = model.act1(model.bn1(model.conv1(x)))
                ys = model.stages(model.act2(model.bn2(model.conv2(x))))
                joined = torch.cat([enlarge(y, ys[0], kind) for y in ys], 1)
            golden[f"{name}_{kind}"] = sample(joined.permute(0, 2, 3, 1).numpy())
        head = ("incre_modules", "downsamp_modules", "final_layer", "classifier")
        golden[f"{name}_parameters"] = sum(
            p.numel() for key, p in model.named_parameters() if not key.startswith(head)
        )
    np.savez_compressed(Path(__file__).with_name("hrnet_golden.npz"), **golden)


if __name__ == "__main__":
    main()
