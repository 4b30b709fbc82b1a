"""Small data sets, written for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 32)


def scene(seed: int, size=SIZE) -> tuple[np.ndarray, np.ndarray]:
    """An image of a bright box on dark ground, different for each seed, and its mask (0, 1)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    y, x = rng.integers(2, size[0] // 3), rng.integers(2, size[1] // 3)
    mask[y : y + size[0] // 2, x : x + size[1] // 2] = 1
    image = rng.integers(0, 40, (*size, 3)) + 160 * mask[..., None]
    return image.astype(np.uint8), mask


def save(path: Path, array: np.ndarray, palette=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette is not None:
        image = Image.fromarray(array, "P") if image.mode == "P" else image.convert("L")
        image = Image.frombytes("P", image.size, array.tobytes())
        image.putpalette(list(np.ravel(palette)))
    image.save(path)
    return path


def folders(root: Path, count=10, *, images="images", masks="masks", value=1, size=SIZE) -> Path:
    """`images/0.png ...` and `masks/0.png ...`, with `value` for the box."""
    for i in range(count):
        image, mask = scene(i, size)
        save(root / images / f"{i}.png", image)
        save(root / masks / f"{i}.png", mask * np.uint8(value))
    return root


def coco(root: Path, annotations, *, images=None, categories=None, name="instances.json") -> Path:
    """Two images of 32x24 and a COCO file for them."""
    for i in (1, 2):
        save(root / "images" / f"{i}.png", scene(i)[0])
    rows = images or [
        {"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1]} for i in (1, 2)
    ]
    content = {
        "images": rows,
        "categories": categories or [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": n, **row} for n, row in enumerate(annotations, 1)],
    }
    (root / name).write_text(json.dumps(content))
    return root


def box(category, image, x0, y0, x1, y1, **more):
    """An annotation: a rectangle."""
    outline = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    return {"category_id": category, "image_id": image, "segmentation": outline, **more}
