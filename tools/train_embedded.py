"""Trains the models included in easyseg, `pretrained/mini` and `pretrained/scenes`.

    python tools/train_embedded.py prepare scenes --voc VOC --camvid CAMVID --images DIR ...
    python tools/train_embedded.py train scenes
    python tools/train_embedded.py save scenes pretrained/scenes

`RECIPES` in `embedded/recipes.py` says what each learns; a third model is one more entry. A student
learns, on random crops of any images, from the answers of teachers, which are asked once
("prepare"), and from true labels where there are any (Beyer et al., "Knowledge distillation: A good
teacher is patient and consistent", CVPR 2022, https://arxiv.org/abs/2106.05237).

Every epoch saves a checkpoint; the same command (with the same `--epoch`) resumes from it, and
`train NAME --start pretrained/NAME` continues from saved weights. Images that `prepare` adds
meanwhile are taken up. Runs on any Keras backend (set KERAS_BACKEND), on as many threads as
OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from embedded.recipes import RECIPES
from embedded.samples import (
    camvid_sources,
    facade_sources,
    image_sources,
    prepare,
    voc_sources,
)
from embedded.teachers import Teachers
from embedded.training import restore, train

from easyseg._keras import backend
from easyseg.models.build import build_model, logits_model
from easyseg.weights.bundle import EXPORTED, save_bundle


def run_prepare(args: argparse.Namespace) -> None:
    """Asks the teachers."""
    recipe = RECIPES[args.name]
    sources = [source for folder in args.images for source in image_sources(folder)]
    sources += voc_sources(args.voc) if args.voc else []
    sources += camvid_sources(args.camvid) if args.camvid else []
    sources += facade_sources(args.facade) if args.facade else []
    teachers = Teachers(recipe, args.teacher or recipe.teacher)
    prepare(recipe, sources, teachers, args.cache or Path(".train") / args.name / "cache")


def run_train(args: argparse.Namespace) -> None:
    """Trains, or goes on."""
    _limit_threads()
    args.cache = args.cache or Path(".train") / args.name / "cache"
    args.run = args.run or Path(".train") / args.name / "run"
    train(RECIPES[args.name], args)


def _limit_threads() -> None:
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads and backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  (only with this backend)

        tf.config.threading.set_intra_op_parallelism_threads(int(threads))
        tf.config.threading.set_inter_op_parallelism_threads(1)


def run_save(args: argparse.Namespace) -> None:
    """Writes the weights (or their average over the last epochs) as a float16 bundle."""
    recipe = RECIPES[args.name]
    model = build_model(recipe.config)
    small = logits_model(model)
    state = (args.run or Path(".train") / args.name / "run") / "state.npz"
    if not state.exists():
        raise SystemExit(
            f"{state} does not exist; train first: train_embedded.py train {args.name}"
        )
    epoch, seen, average = restore(state, small)
    if args.average:
        for variable, value in zip(small.variables, average, strict=True):
            variable.assign(value)
    card = args.card.read_text("utf-8") if args.card else ""
    config = recipe.config.replace(input_size=(args.side, args.side))
    save_bundle(args.folder, model, config, recipe.label_set, card=card, dtype="float16")
    print(f"{args.folder}: epoch {epoch}, {seen} images seen. Export it too:")
    print(
        f"easyseg export -m {args.folder} -o {args.folder}/{EXPORTED} --dynamic --precision float16"
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("prepare")
    one.set_defaults(run_command=run_prepare)
    one.add_argument("--voc", type=Path, help="folder in VOC layout, of which train is taken")
    one.add_argument("--camvid", type=Path, help="folder with train/ and trainannot/")
    one.add_argument("--facade", type=Path, help="folder with a COCO file of facades")
    one.add_argument("--images", type=Path, nargs="*", default=[], help="folders without masks")
    one.add_argument("--teacher", help="instead of the recipe's: name, folder or .tflite file")
    two = commands.add_parser("train")
    two.set_defaults(run_command=run_train)
    two.add_argument("--start", help="bundle of the same classes to continue from")
    two.add_argument("--images-seen", type=int, default=240_000)
    two.add_argument("--epoch", type=int, default=4_000, help="images per epoch")
    two.add_argument("--check-every", type=int, default=5, help="epochs between selections")
    two.add_argument("--weight-decay", type=float, default=1e-3)
    two.add_argument("--ema", type=float, default=0.8, help="of the weights, per epoch")
    two.add_argument("--seed", type=int, default=0)
    three = commands.add_parser("save")
    three.set_defaults(run_command=run_save)
    for each in (one, two, three):
        each.add_argument("name", choices=RECIPES)
    three.add_argument("folder", type=Path)
    three.add_argument("--card", type=Path)
    three.add_argument("--side", type=int, default=449, help="to which images are fitted")
    three.add_argument("--average", action="store_true", help="the averaged weights")
    for each in (one, two):
        each.add_argument("--cache", type=Path, help="default: .train/NAME/cache")
    for each in (two, three):
        each.add_argument("--run", type=Path, help="default: .train/NAME/run")
    args = parser.parse_args()
    args.run_command(args)


if __name__ == "__main__":
    main()
