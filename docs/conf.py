"""The documentation site: `make docs` writes it to build/site, offline, with warnings as errors."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from sphinx_gallery.sorting import ExplicitOrder

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs/_extensions"), str(ROOT)]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import api_pages  # noqa: E402
import browser_page  # noqa: E402
from gallery_files import SECTIONS, forget_older_runs, in_order, stage_examples  # noqa: E402

from easyseg import __version__  # noqa: E402

# where "edit this page", the sources and Colab lead
REPOSITORY = os.environ.get("EASYSEG_REPOSITORY", "easyseg/easyseg")
FORGE = f"https://github.com/{REPOSITORY}"
SITE = os.environ.get("EASYSEG_SITE", "https://{}.github.io/{}".format(*REPOSITORY.split("/")))

if browser_page.is_available():
    tags.add(browser_page.TAG)  # noqa: F821  (Sphinx's)
os.environ["EASYSEG_OFFLINE"] = "1"  # from here on: no example downloads anything
forget_older_runs(ROOT)
project = "easyseg"
author = "The easyseg maintainers"
copyright = author  # noqa: A001  (Sphinx's name)
release = version = __version__
language = "en"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxext.opengraph",
    "api_pages",
    "browser_page",
    "forge_links",
    "llms_txt",
    "notebooks",
    "reference_pages",
]
notebooks_repository = REPOSITORY
exclude_patterns = ["_extensions", "gallery/**/*.ipynb", "gallery/**/*.py", "**/GALLERY_HEADER.rst"]
nitpicky = False
suppress_warnings = ["config.cache"]  # functions in the gallery's options cannot be pickled

myst_heading_anchors = 4  # as a forge gives each heading an anchor
myst_enable_extensions = []  # the pages must stay readable on the forge

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": [str(stage_examples(ROOT))],
    "gallery_dirs": ["gallery"],
    "subsection_order": ExplicitOrder(SECTIONS),
    "within_subsection_order": in_order,
    "filename_pattern": r"\.py$",
    "image_scrapers": ("matplotlib", "gallery_files.image_scraper"),
    "reset_modules": (),
    "capture_repr": ("__str__",),
    "ignore_repr_types": r"PIL|matplotlib",
    "doc_module": ("easyseg",),
    "backreferences_dir": "api/used_in",
    "thumbnail_size": (400, 300),
    "min_reported_time": 1e9,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": True,
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "download_all_examples": True,
    "first_notebook_cell": (
        "# only where easyseg is not installed yet, as on Colab\n"
        "import importlib.util\n\n"
        'if importlib.util.find_spec("easyseg") is None:\n'
        f'    %pip install -q "easyseg[demo,serve,video] @ git+{FORGE}"'
    ),
    "write_computation_times": False,
}


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Where a documented name is defined, on the forge."""
    place = api_pages.linkcode_resolve(domain, info)
    return place and f"{FORGE}/blob/main/{place}"


# a page's source: an example, the code that a page of the reference comes from, or the page itself
EDIT = (
    FORGE + "/edit/main/{% if file_name.startswith('gallery/') %}"
    "examples/{{ file_name[8:] | replace('.rst', '.py') "
    "| replace('index.py', 'GALLERY_HEADER.rst') }}"
    "{% elif file_name.startswith('api/') %}docs/_extensions/api_pages.py"
    "{% elif 'generated/' in file_name %}docs/_extensions/reference_pages.py"
    "{% elif file_name == 'tutorials/notebooks.rst' %}docs/_extensions/notebooks.py"
    "{% else %}docs/{{ file_name }}{% endif %}"
)

html_theme = "pydata_sphinx_theme"
html_title = f"easyseg {release}"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", f"{SITE}/")
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
templates_path = ["_templates"]
html_static_path = ["_static", "images/hero.jpg"]  # which ogp_image needs
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_context = {
    "versions": json.loads((ROOT / "docs/_static/switcher.json").read_text("utf-8")),
    "edit_page_url_template": EDIT,
    "edit_page_provider_name": "the forge",
    "github_user": REPOSITORY.split("/")[0],
    "github_repo": REPOSITORY.split("/")[1],
    "github_version": "main",
    "doc_path": "docs",
    "default_mode": "auto",
}
html_theme_options = {
    "github_url": FORGE,
    "logo": {"text": "easyseg", "alt_text": "easyseg, to the first page"},
    "use_edit_page_button": True,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["versions", "theme-switcher", "navbar-icon-links"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
ogp_site_url = f"{SITE}/"
ogp_site_name = "easyseg"
ogp_image = f"{SITE}/_static/hero.jpg"
ogp_image_alt = "A photo and what easyseg makes of it"
ogp_social_cards = {"enable": False}
ogp_enable_meta_description = True
