"""The site that `make docs` built: links, sizes, examples, notebooks, what programs read."""

from __future__ import annotations

import html.parser
import importlib
import json
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from helpers.paths import ROOT

SITE = ROOT / "build/site"
DOCS = ROOT / "docs"
pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="make docs builds it"),
]
NEED_RAY = {f"easyseg.distributed.{name}" for name in ("RaySummary", "evaluate", "segment")}


class Page(html.parser.HTMLParser):
    """The ids, links and resources of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.ids, self.links, self.loaded, self.meta = path, set(), [], [], {}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("img", "script", "source", "video") and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "manifest"):
            self.loaded.append(values["href"])
        if tag == "meta" and values.get("property"):
            self.meta[values["property"]] = values["content"]


@pytest.fixture(scope="module")
def pages():
    return {path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}


@pytest.fixture(scope="module")
def extension():
    def load(name):
        sys.path.insert(0, str(DOCS / "_extensions"))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(DOCS / "_extensions"))

    return load


def test_links_within_the_site_lead_somewhere(pages):
    broken, count = [], 0
    ids = {path: page.ids for path, page in pages.items()}
    for page in pages.values():
        for link in (*page.links, *page.loaded):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            count += 1
            target = (page.path.parent / unquote(url.path)).resolve() if url.path else page.path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                url.fragment and unquote(url.fragment) not in ids.get(target, {url.fragment})
            ):
                broken.append(f"{page.path.relative_to(SITE)}: {link}")
    assert count > 5000
    assert not broken, broken[:20]


def test_it_opens_from_disk(pages):
    """Nothing is loaded from elsewhere, and no address is absolute."""
    loaded = {link for page in pages.values() for link in page.loaded}
    assert len(loaded) > 20
    assert not [link for link in loaded if link.startswith(("http", "//", "/"))]


def test_pages_are_small(pages):
    sizes = {str(path.relative_to(SITE)): path.stat().st_size for path in pages}
    assert len(sizes) > 80
    assert {name: size for name, size in sizes.items() if size > 300_000} == {}


def test_cards_for_other_sites(pages):
    for name in ("index.html", "quickstart.html", "gallery/images/one_image.html"):
        meta = pages[SITE / name].meta
        assert meta["og:site_name"] == "easyseg"
        assert len(meta["og:description"]) > 20
        assert (SITE / "_static" / meta["og:image"].rpartition("/")[2]).is_file()


def test_edit_links_name_files_that_exist(pages):
    count = 0
    for page in pages.values():
        for link in page.links:
            if "/edit/main/" in link:
                count += 1
                file = link.partition("/edit/main/")[2]
                assert (ROOT / file).is_file(), (page.path, link)
                assert not file.startswith(("docs/gallery/", "docs/api/", "docs/reference/gen"))
    assert count > 80


def test_every_example_ran_and_is_the_thumbnail(extension):
    for section, names in extension("gallery_files").EXAMPLES.items():
        for name in names:
            folder = DOCS / "gallery" / section
            page = (SITE / "gallery" / section / f"{name}.html").read_text("utf-8")
            assert f"{name}.ipynb" in page
            assert f"{name}.py" in page
            assert (folder / f"images/sphx_glr_{name}_001.png").is_file(), name
            assert "Traceback" not in (folder / f"{name}.rst").read_text("utf-8"), name


def test_every_public_name_has_an_example_that_ran(extension):
    """sphinx-gallery writes them from the names that an example's code uses."""
    missing = []
    for name in extension("api_pages").public_names():
        used = name if name != "easyseg.errors" else "easyseg.errors.EasysegError"
        examples = DOCS / f"api/used_in/{used}.examples"  # Sphinx makes empty ones for the rest
        if not examples.is_file() or not examples.stat().st_size:
            missing.append(name)
    assert sorted(set(missing) - NEED_RAY) == []


def test_notebooks_have_their_outputs(extension):
    names = [Path(name).name for name in extension("notebooks").NOTEBOOKS]
    assert len(names) >= 8
    for name in names:
        notebook = json.loads((SITE / f"notebooks/{name}.ipynb").read_text("utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        outputs = [output for cell in cells for output in cell["outputs"]]
        assert any("image/png" in output.get("data", {}) for output in outputs), name
        assert not [output for output in outputs if output["output_type"] == "error"]
        assert "easyseg" in "".join(cells[0]["source"])


def test_a_notebook_that_fails_names_its_cell(extension, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="make docs installs it")
    from sphinx.errors import ExtensionError

    cells = [nbformat.v4.new_code_cell(code) for code in ("x = 1", "x / 0", "x")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "bad.ipynb")
    with pytest.raises(ExtensionError, match=r"bad\.ipynb, cell 2: ZeroDivisionError"):
        extension("notebooks").execute(tmp_path / "bad.ipynb", tmp_path / "out/bad.ipynb")
    assert not (tmp_path / "out").exists()


def test_what_language_models_read(extension):
    text = (SITE / "llms.txt").read_text("utf-8")
    assert text.startswith("# easyseg\n\n> ")
    pages = [
        line.partition("](")[2].partition(")")[0] for line in text.splitlines() if "](" in line
    ]
    assert len(pages) > 80
    assert not [page for page in pages if not (SITE / page).is_file()]
    full = (SITE / "llms-full.txt").read_text("utf-8")
    assert not [name for name in extension("api_pages").public_names() if name not in full]


def test_all_commands_and_options_are_listed():
    from easyseg.cli import COMMANDS, cli

    page = (SITE / "reference/generated/command-line.html").read_text("utf-8")
    for name in COMMANDS:
        assert f'id="{name}"' in page
        for option in cli.get_command(None, name).params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in page, (name, option.opts)
