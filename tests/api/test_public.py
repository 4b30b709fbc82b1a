"""What `import easyseg` offers: everything that a public function or method returns."""

import inspect
import re
from pathlib import Path

import pytest

import easyseg
from easyseg import Scores, Segmentation, SemanticSegmentation

GENERAL = {"Any", "Iterator", "Iterable", "Mapping", "Sequence", "None", "True", "False", "Path"}


def returned(function):
    annotation = str(inspect.signature(function).return_annotation)
    return set(re.findall(r"(?<![.\w])[A-Z]\w+", annotation)) - GENERAL


def methods(cls):
    for name, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(function):
            yield function


FUNCTIONS = [
    function for name in easyseg.__all__ if inspect.isfunction(function := getattr(easyseg, name))
]
METHODS = [
    method for cls in (SemanticSegmentation, Segmentation, Scores) for method in methods(cls)
]


@pytest.mark.parametrize("function", FUNCTIONS + METHODS, ids=lambda f: f.__qualname__)
def test_what_is_returned_is_public(function):
    assert returned(function) <= set(easyseg.__all__)
    assert inspect.getdoc(function)


def test_the_stub_offers_the_same():
    stub = Path(easyseg.__file__).with_suffix(".pyi").read_text()
    for name in easyseg.__all__:
        assert getattr(easyseg, name) is not None
        assert f" {name} as {name}\n" in stub
        assert f'    "{name}",\n' in stub
    assert {*easyseg.__all__, "__version__"} == set(dir(easyseg))
    with pytest.raises(AttributeError, match="has no attribute 'segment'"):
        _ = easyseg.segment
