"""The built site in Chromium, from disk: axe, search, the dark mode, narrow screens."""

from __future__ import annotations

import pytest
from helpers.browser import chromium, segment_in
from helpers.paths import ROOT

from easyseg import SemanticSegmentation

SITE = ROOT / "build/site"
pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="make docs builds it"),
]
TRY = "tutorials/try.html"
PAGES = (
    "index.html",
    TRY,
    "gallery/index.html",
    "gallery/images/one_image.html",
    "fine-tuning.html",
    "tutorials/notebooks.html",
    "api/index.html",
    "api/easyseg.Segmentation.html",
    "reference/generated/command-line.html",
    "reference/generated/benchmarks.html",
)
SIZES = [(1280, 900), (375, 812)]


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser):
    contexts = []

    def call(page, size=SIZES[0], scheme="light"):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(30_000)
        file, _, query = page.partition("?")
        opened.goto(f"{(SITE / file).as_uri()}?{query}")
        return opened

    yield call
    for context in contexts:
        context.close()


def axe_finds_nothing(opened):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(opened)
    assert not found.response["violations"], found.generate_report()
    assert len(found.response["passes"]) > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing(visit, page, size, scheme):
    opened = visit(page, size, scheme)
    assert opened.evaluate("document.documentElement.dataset.theme") == scheme
    axe_finds_nothing(opened)
    assert opened.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_search_finds_a_page(visit):
    opened = visit("search.html?q=labelme")
    opened.wait_for_selector("#search-results li a")
    titles = opened.locator("#search-results li a").all_inner_texts()
    assert any("labelme" in title for title in titles)


def test_versions(visit):
    opened = visit("index.html")
    opened.locator(".versions summary").first.click()
    assert opened.locator(".versions li a").first.is_visible()
    assert opened.locator(".versions [aria-current]").count() >= 1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_photo_is_segmented_on_the_page(visit, size):
    """As in Python, and nothing is fetched from elsewhere."""
    skimage = pytest.importorskip("skimage")
    if not (SITE / "try/index.html").is_file():
        assert "ONNX Runtime Web could not be downloaded" in (SITE / TRY).read_text("utf-8")
        pytest.skip("built without the npm registry")
    image = f"{skimage.__path__[0]}/data/astronaut.png"
    opened, told, asked = visit(TRY, size), [], []
    opened.on("console", lambda message: told.append(message) if message.type == "error" else None)
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.reload()
    inside = opened.frame_locator("iframe.try")
    inside.locator("#file").set_input_files(image)
    inside.locator("#legend button", has_text="person").click(timeout=60_000)
    (frame,) = opened.frames[1:]
    expected = SemanticSegmentation("mini", runtime="keras").segment_image(image).labels
    assert (segment_in(frame, image) == expected.ravel()).mean() >= 0.999
    assert frame.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert not [url for url in asked if not url.startswith(("file:", "blob:", "data:"))]
    assert not told
    axe_finds_nothing(opened)
