"""Models in repositories of the Hugging Face Hub: "hf://user/repo", "hf://user/repo@v1/net.onnx".

Of a repository only the files of a saved model are read, or one ONNX file that is named: nothing
that can hold code.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from easyseg.errors import DownloadError, InputError, OfflineError, OutputError, WeightsError
from easyseg.utils.network import network_reason
from easyseg.weights.bundle import CARD, CONFIG, EXPORTED, LABELS, WEIGHTS, is_bundle
from easyseg.weights.cache import cache_home, is_offline

PREFIX = "hf://"
FILES = (CONFIG, LABELS, WEIGHTS, CARD, EXPORTED)
LARGEST = 4800 << 20  # bytes of a repository that are downloaded
FOLDER = "hugging_face"  # in `cache_dir`; without one, the Hub's own cache is used
NAME = re.compile(r"\w[\w.-]*")
README = """---
library_name: easyseg
pipeline_tag: image-segmentation
tags:
- semantic-segmentation
---

{card}
```python
from easyseg import SemanticSegmentation

seg = SemanticSegmentation("hf://{repository}")
seg.segment_image("image.jpg", "segmented.png")
```

Classes: {classes}.
"""
A_REPOSITORY_IS = "'hf://user/repo', 'hf://user/repo@revision', or 'hf://user/repo/network.onnx'"
TOKEN = "HF_TOKEN=..., or log in with `hf auth login`"  # noqa: S105

T = TypeVar("T")


class Repository(NamedTuple):
    """What an address means.

    Attributes:
        name: "user/repo".
        revision: A branch, a tag or a commit; `None` for the main branch.
        file: An ONNX file in it; empty for a saved model.
    """

    name: str
    revision: str | None
    file: str


def is_hugging_face(model: Any) -> bool:
    """Whether it is an address of the Hugging Face Hub."""
    return str(model).startswith(PREFIX)


def parse(address: str) -> Repository:
    """Takes an address apart.

    Raises:
        InputError: It is not one, or names a file that is not an ONNX file.
    """
    user, _, rest = address.removeprefix(PREFIX).partition("/")
    place, _, file = rest.partition("/")
    name, at, revision = place.partition("@")
    if not (NAME.fullmatch(user) and NAME.fullmatch(name)) or (at and not revision):
        raise InputError(f"model={address!r}: expected {A_REPOSITORY_IS}.")
    if file and (not file.endswith(".onnx") or ".." in file.split("/")):
        raise InputError(
            f"model={address!r}: {file} is not an .onnx file, the only kind that is read by its "
            f"name. For a saved model leave it out: {PREFIX}{user}/{place}."
        )
    return Repository(f"{user}/{name}", unquote(revision) or None, file)


def fetch(address: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a saved model, or the ONNX file; downloaded if it is not in the cache.

    Raises:
        InputError: It is no address of a model, or huggingface_hub is not installed.
        OfflineError: It is not in the cache, and downloads are switched off.
        DownloadError: There is no such repository, revision or file, or it cannot be reached.
        WeightsError: The repository holds no saved model.
    """
    repository, hub = parse(address), _import("a model of the Hugging Face Hub")
    choices: dict[str, Any] = {
        "revision": repository.revision,
        "cache_dir": None if cache_dir is None else cache_home(cache_dir) / FOLDER,
        "local_files_only": is_offline(),
        "endpoint": _endpoint(),
    }
    with_reasons = functools.partial(_with_reasons, address, _not_downloaded)
    if repository.file:
        call = functools.partial(hub.hf_hub_download, repository.name, repository.file, **choices)
        return with_reasons(functools.partial(_download, address, call))
    call = functools.partial(
        hub.snapshot_download, repository.name, allow_patterns=list(FILES), **choices
    )
    folder = with_reasons(functools.partial(_download, address, call))
    if not is_bundle(folder):
        raise _no_model(address)
    return folder


def _download(address: str, call: Callable[..., Any]) -> Path:
    """Downloads what is not larger than weights are; the Hub's files are of any size."""
    from huggingface_hub import errors  # noqa: PLC0415

    with contextlib.suppress(errors.DryRunError):  # without a connection; the cache may do
        found = call(dry_run=True)
        files = found if isinstance(found, list) else [found]
        size = sum(file.file_size or 0 for file in files if file.will_download)
        if size > LARGEST:
            raise _not_downloaded(
                address, f"it has {size >> 20} MiB, more than {LARGEST >> 20}. Give a copy's folder"
            )
    return Path(call())


def push(
    repository: str,
    write: Callable[[Path], object],
    names: tuple[str, ...],
    *,
    private: bool,
    message: str,
    token: str | None,
) -> str:
    """Uploads a saved model; see `SemanticSegmentation.push_to_hub`.

    Args:
        repository: "user/repo".
        write: Writes the saved model into a folder.
        names: Of its classes, for the page of the repository.
        private: Whether a new repository is private.
        message: Of the commit.
        token: Of an account; `None` for the one that is logged in.
    """
    name = repository.removeprefix(PREFIX)
    parts = name.split("/")
    if len(parts) != 2 or not all(map(NAME.fullmatch, parts)):
        raise InputError(f"repository={repository!r}: expected 'user/repo'.")
    if is_offline():
        raise OutputError(f"Cannot upload to {repository}: EASYSEG_OFFLINE forbids it. Unset it.")
    api = _import("push_to_hub()").HfApi(_endpoint(), token=token)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / parts[1]
        write(folder)

        def upload() -> str:
            api.create_repo(name, private=private, exist_ok=True)
            if not api.file_exists(name, "README.md"):
                card = (folder / CARD).read_text("utf-8")
                text = README.format(card=card, repository=name, classes=", ".join(names))
                (folder / "README.md").write_text(text, "utf-8")
            done = api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
            return str(done.oid)

        commit = _with_reasons(PREFIX + name, _not_uploaded, upload)
    return f"{PREFIX}{name}@{quote(commit, safe='')}"


def _with_reasons(
    address: str, error_of: Callable[[str, str], Exception], call: Callable[[], T]
) -> T:
    """Calls, and raises what `error_of` makes of the address and a reason with a cure."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        return call()
    except errors.GatedRepoError as error:
        reason = f"its owner lets in who asked on its page. Ask there, then set {TOKEN}"
        raise error_of(address, reason) from error
    except errors.RepositoryNotFoundError as error:
        reason = f"there is no such repository, or it is private. Check its name, or set {TOKEN}"
        raise error_of(address, reason) from error
    except errors.RevisionNotFoundError as error:
        reason = "there is no such revision. Name a branch, a tag or a commit after '@'"
        raise error_of(address, reason) from error
    except errors.LocalEntryNotFoundError as error:
        if is_offline():
            raise OfflineError(
                f"{address} is not in the cache and EASYSEG_OFFLINE forbids downloading it. Unset "
                "EASYSEG_OFFLINE, or give the folder of a copy."
            ) from error
        cause = error.__cause__
        reason = network_reason(cause) if isinstance(cause, Exception) else "it is not reached"
        raise error_of(address, reason) from error
    except errors.EntryNotFoundError as error:
        raise error_of(address, "there is no such file in it. Check its name") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        cure = f". Set {TOKEN}, with the right to write" if status in (401, 403) else ""
        raise error_of(address, f"the Hub responded {status}{cure}") from error
    except ValueError as error:
        raise error_of(address, str(error).strip().rstrip(".")) from error
    except (OSError, *errors.HfHubHTTPError.__bases__) as error:  # those of its HTTP library
        raise error_of(address, network_reason(error)) from error


def _endpoint() -> str | None:
    """A mirror, read now: huggingface_hub reads it once, when it is imported."""
    return os.environ.get("HF_ENDPOINT")


def _not_downloaded(address: str, reason: str) -> DownloadError:
    return DownloadError(f"Cannot download {address}: {reason}.")


def _not_uploaded(address: str, reason: str) -> OutputError:
    return OutputError(f"Cannot upload to {address}: {reason}.")


def _no_model(address: str) -> WeightsError:
    return WeightsError(
        f"{address} holds no model that easyseg saved ({CONFIG}, {LABELS} and {WEIGHTS}). For an "
        f"ONNX file in it add its name: {address}/network.onnx. For a KerasHub preset: "
        f"hub:{address}."
    )


def _import(what: str) -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise InputError(
            f"{what} needs huggingface_hub, which is not installed: pip install 'easyseg[hf]'"
        ) from error
    return huggingface_hub
