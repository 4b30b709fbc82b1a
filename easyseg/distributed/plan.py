"""What a run on several machines will do: `plan_folder`, also for results in an object store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from easyseg.errors import InputError, show_path
from easyseg.inference.folder import FolderPlan, plan_folder
from easyseg.io.find_images import Job, find_images, result_paths
from easyseg.io.name_template import NameTemplate
from easyseg.io.remote import EXAMPLES, RemotePath, is_object, scheme_of
from easyseg.results.outputs import OUTPUTS

if TYPE_CHECKING:
    from easyseg.io.find_images import Source
    from easyseg.results.outputs import OutputSpec


def plan_run(sources: Source | Iterable[Source], out: str, spec: OutputSpec) -> FolderPlan:
    """Which images are read and which files or objects are written.

    Raises:
        InputError: `out` is a URL of the web, or a template of names in an object store; or results
            would lie among the images; and as of `plan_folder`, and so are other errors.
    """
    if "{" in out and is_object(out):
        raise InputError(
            f"out={show_path(out)!r} is a template of names, which only folders take. Give a "
            "folder of the store: results get the paths of their images below it."
        )
    if not is_object(out):
        if scheme_of(out):
            raise InputError(
                f"out={show_path(out)!r} is a URL of the web, to which no results can be written. "
                f"Give a folder, or an object store: {EXAMPLES}."
            )
        plan = plan_folder(sources, out, spec)
        if plan.folder != Path(out) and NameTemplate.of(Path(out)) is None:
            raise InputError(f"out={show_path(out)!r} is a file. Give a folder for the results.")
        return plan
    images = find_images(sources)
    folder = f"{out.rstrip('/')}/"
    if any(image.source.startswith(folder) for image in images):
        raise InputError(
            f"Results would lie among the images of {show_path(out)}. Choose another output folder."
        )
    below = result_paths(images, Path(), extensions=OUTPUTS[spec.kind].suffixes)
    targets = [cast("Path", RemotePath(out) / path) for path in below]
    spec.check_path(targets[0])
    pairs = zip(images, targets, strict=True)
    return FolderPlan(images, [Job(*pair, position=i) for i, pair in enumerate(pairs)])
