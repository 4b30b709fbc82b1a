"""The server of easyseg on the machines of a Ray cluster: the same application in each replica.

    pip install 'easyseg[serve]' 'ray[serve]'
    serve run deploy.ray_serve:build model=street.onnx replicas=4 key_file=/etc/easyseg/key

Every machine needs easyseg and the model at the same place. Ray's proxy listens at
http://127.0.0.1:8000; docs/serving.md says how to open it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from easyseg import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.serve import ServeLimits, create_app
from easyseg.serve.limits import LOOPBACK_HOSTS, read_keys

OPTIONS = {"model": "mini", "replicas": "1", "cpus": "2", "key_file": "", "hosts": ""}


def build(options: Mapping[str, str]) -> Application:
    """The application, for `serve run` and `serve.run`.

    Args:
        options: `model` as for `easyseg serve -m`; `replicas`, "auto" for as many as the load
            needs; `cpus` of each; `key_file` with the secrets that requests must carry; `hosts`,
            with commas, under which it is addressed, by default any with a key and else loopback.
    """
    if unknown := options.keys() - OPTIONS.keys():
        raise InputError(f"unknown option {min(unknown)!r}; there are {', '.join(OPTIONS)}.")
    chosen = {**OPTIONS, **options}

    def app() -> Any:  # runs in each replica
        keys = read_keys(Path(chosen["key_file"])) if chosen["key_file"] else ()
        hosts = chosen["hosts"].split(",") if chosen["hosts"] else ["*"] if keys else []
        limits = ServeLimits(keys=keys, allow_hosts=(*LOOPBACK_HOSTS, *hosts))
        return create_app(SemanticSegmentation(chosen["model"], progress=False), limits)

    replicas = chosen["replicas"] if chosen["replicas"] == "auto" else int(chosen["replicas"])
    deployment = serve.deployment(
        name="easyseg",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": float(chosen["cpus"])},
        max_ongoing_requests=100,  # the application has a queue of its own and answers 503
    )
    return deployment(serve.ingress(app)()).bind()
