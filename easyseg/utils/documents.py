"""JSON and YAML from outside -> plain values, within limits: the only parser of both."""

from __future__ import annotations

import json
from typing import Any

MAX_YAML = 1 << 16  # characters; PyYAML reads about as many in a second
MAX_YAML_VALUES = 20_000  # with aliases written out
MAX_DIGITS = 300  # of a number: 60**300 (`1:1:1:...`) takes seconds, 10**400 is no float


def parse_json(text: str | bytes) -> Any:
    """The values of a JSON document.

    Raises:
        ValueError: It is not JSON, or nested too deeply; says where or why.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_yaml(text: str) -> Any:
    """The values of a YAML document of at most `MAX_YAML` characters.

    Raises:
        ValueError: It is not YAML, too large, or nested too deeply; says where or why.
    """
    import yaml  # noqa: PLC0415

    if len(text) > MAX_YAML:
        raise ValueError(f"over {MAX_YAML:,} characters; put long lists into text files")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}) > MAX_YAML_VALUES:
            raise ValueError(f"over {MAX_YAML_VALUES:,} values with its aliases")
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # of which PyYAML's own constructors raise all, for tags such as `!!int x`
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    finally:
        if loader is not None:
            loader.dispose()


def _expanded_size(node: Any, sizes: dict[int, float]) -> float:
    """Number of nodes with every alias written out; infinite for a node within itself."""
    if id(node) not in sizes:
        is_number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if is_number and len(node.value) > MAX_DIGITS:
            raise ValueError(f"a number of over {MAX_DIGITS} digits")
        sizes[id(node)] = float("inf")
        children = node.value if node.id == "sequence" else []
        if node.id == "mapping":
            children = [part for pair in node.value for part in pair]
        sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in children)
    return sizes[id(node)]
