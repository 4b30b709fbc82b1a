"""Draws the pictures of README.md with the embedded model: python tools/draw_readme.py.

hero.jpg is an image and what is made of it, wipe.webp the image over which its overlay moves. The
images come with scikit-image: astronaut (NASA, public domain) and rocket (SpaceX, public domain).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFont, ImageOps

from easyseg import SemanticSegmentation
from easyseg.io.open_image import open_image
from easyseg.io.read_image import read_image

DATA = Path(skimage.__path__[0], "data")
OUT = Path(__file__).resolve().parents[1] / "docs/images"
WIDTH, HEIGHT, GAP, CAPTION = 240, 300, 8, 28  # of a tile, in pixels
INK, PAPER = "#14324f", "#ffffff"
FRAMES, MILLISECONDS = 20, 80  # one way
KEEP = "person"
CROP = np.s_[:488, :390]  # without the model of a shuttle, which mini takes for a bottle


def outputs(seg: SemanticSegmentation, image: np.ndarray, background: Path) -> dict[str, Any]:
    """The image, and six things that are made of it, by their captions."""
    result = seg.segment_image(image)
    with tempfile.TemporaryDirectory() as folder:
        path = result.filter(KEEP).save(Path(folder, "cutout.png"), "cutout")
        with open_image(path, path.name) as opened:
            cutout = opened.copy()
    return {
        "image": result.image,
        "overlay": result.plot("overlay", legend=True),
        "color": result.plot("color"),
        "contour": result.plot("contour"),
        "cutout": checkered(cutout),
        "blur_background": seg.blur_background(result.image, keep=KEEP),
        "gray_background": seg.gray_background(result.image, keep=KEEP),
        "change_background": seg.change_background(result.image, background, keep=KEEP),
    }


def checkered(image: Image.Image) -> Image.Image:
    """A transparent image on the pattern that stands for transparency."""
    rows, cols = np.indices((image.height, image.width)) // 12
    squares = np.where((rows + cols) % 2, 255, 214).astype(np.uint8)
    board = Image.fromarray(squares).convert("RGBA")
    board.alpha_composite(image)
    return board.convert("RGB")


def tile(pixels: Any, caption: str) -> Image.Image:
    """The image, with its caption below."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    drawn = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), PAPER)
    drawn.paste(ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.LANCZOS))
    place = (WIDTH / 2, HEIGHT + CAPTION / 2)
    ImageDraw.Draw(drawn).text(place, caption, INK, ImageFont.load_default(15), "mm")
    return drawn


def sheet(tiles: Sequence[Image.Image], columns: int) -> Image.Image:
    """The tiles, in rows."""
    width, height = tiles[0].width + GAP, tiles[0].height
    drawn = Image.new("RGB", (columns * width - GAP, -(-len(tiles) // columns) * height), PAPER)
    for i, each in enumerate(tiles):
        drawn.paste(each, (i % columns * width, i // columns * height))
    return drawn


def wipe(image: np.ndarray, overlay: np.ndarray) -> list[Image.Image]:
    """Frames in which the overlay covers the image from the left, and gives way again."""
    width = image.shape[1]
    edges = [round(width * (1 - math.cos(math.pi * i / FRAMES)) / 2) for i in range(FRAMES + 1)]
    frames = []
    for edge in (*edges, *edges[-2:0:-1]):
        frame = image.copy()
        frame[:, :edge] = overlay[:, :edge]
        frame[:, max(0, edge - 1) : edge + 2] = 255
        frames.append(Image.fromarray(frame))
    return frames


def main() -> None:
    """Draws both."""
    seg = SemanticSegmentation("mini")
    image = read_image(DATA / "astronaut.png")[CROP]
    made = outputs(seg, image, DATA / "rocket.jpg")
    sheet([tile(pixels, name) for name, pixels in made.items()], 4).save(
        OUT / "hero.jpg", quality=86, optimize=True
    )
    first, *others = wipe(made["image"], made["overlay"])
    first.save(
        OUT / "wipe.webp",
        save_all=True,
        append_images=others,
        duration=[900, *[MILLISECONDS] * (FRAMES - 1), 900, *[MILLISECONDS] * (FRAMES - 1)],
        loop=0,
        quality=70,
        method=6,
    )


if __name__ == "__main__":
    main()
