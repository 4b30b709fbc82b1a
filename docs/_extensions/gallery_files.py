"""The gallery: where its examples run, in which order, and how their images are found."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from sphinx_gallery.scrapers import figure_rst

# sections and examples, in the order of the gallery
EXAMPLES = {
    "images": (
        "one_image",
        "kinds",
        "folder",
        "cutout",
        "background",
        "areas",
        "large_image",
        "scene",
        "several_scales",
        "polygons",
    ),
    "video": ("video", "camera"),
    "training": (
        "train_on_a_folder",
        "train_on_coco",
        "train_on_yolo",
        "train_on_labelme",
        "evaluate",
        "compare_models",
        "choose_a_variant",
        "transfer_weights",
    ),
    "deploy": ("export", "serve", "shards", "tables", "annotation_tools", "from_pixellib"),
    "inside": ("own_network", "predictor", "kerashub", "errors"),
}
SECTIONS = [f"../build/examples/{section}" for section in EXAMPLES]


def in_order(file_name: str) -> int:
    """Position of an example in its section; a new one must be entered above."""
    return [name for names in EXAMPLES.values() for name in names].index(Path(file_name).stem)


def stage_examples(root: Path) -> Path:
    """Copies the examples to build/examples, where they run and may write; the repository stays."""
    staged = root / "build/examples"
    shutil.rmtree(staged, ignore_errors=True)
    sections = shutil.ignore_patterns("__pycache__", "recipes")
    return Path(shutil.copytree(root / "examples", staged, ignore=sections))


def forget_older_runs(root: Path) -> None:
    """Where easyseg has changed, all examples, notebooks and exports are made again."""
    digest = hashlib.sha256()
    for path in sorted((root / "easyseg").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    note = root / "build/examples-ran-with.sha256"
    if note.is_file() and note.read_text("utf-8") == digest.hexdigest():
        return
    for path in (root / "docs/gallery").rglob("*.md5"):
        path.unlink()
    for made in ("notebooks", "try"):
        shutil.rmtree(root / "build/site" / made, ignore_errors=True)
    note.parent.mkdir(exist_ok=True)
    note.write_text(digest.hexdigest(), "utf-8")


def image_scraper(_: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The image that a block ends with, as a notebook shows it, as the block's image."""
    image = block_vars["example_globals"].get("___")
    if not isinstance(image, Image.Image) or image is block_vars.get("last_image"):
        return ""
    block_vars["last_image"] = image
    path = PurePosixPath(next(block_vars["image_path_iterator"]))
    image.save(path)
    return figure_rst([str(path)], gallery_conf["src_dir"])
