"""The page at /, in a real browser."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import requests
from helpers.browser import chromium
from helpers.live_server import live_server
from PIL import Image

import easyseg.serve.app
from easyseg import SemanticSegmentation
from easyseg.serve import ServeLimits, create_app

FOLDER = Path(easyseg.serve.app.__file__).parent / "page"
PAGE = (FOLDER / "index.html").read_text("utf-8")
IMAGE = FOLDER / "example.jpg"
KINDS = ("overlay", "color", "contour", "cutout", "confidence", "side_by_side", "mask")
KEY = "a key that nobody guesses"
SIZES = [(1280, 900), (375, 812)]

browser_test = pytest.mark.browser


def test_it_is_one_small_file_that_loads_nothing_from_elsewhere():
    assert len(PAGE.encode()) <= 80_000
    addresses = set(
        re.findall(r"""(?:src|href|url\(|import|fetch\()[="'(]*(https?:[^"' )]*)""", PAGE)
    )
    assert not addresses
    assert not re.findall(r"\son\w+=|\sstyle=", PAGE)  # the policy would refuse them


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini")


@pytest.fixture(scope="module")
def result(seg):
    return seg.segment_image(IMAGE)


@pytest.fixture(scope="module")
def site(seg):
    with live_server(create_app(seg)) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser, site):
    """Opens a page; in the end no page has had anything to say to its console."""
    contexts, said = [], []

    def call(address=site, size=SIZES[0], **options):
        narrow = size[0] < 600
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=narrow,
            is_mobile=narrow,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.said = said
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        return page

    yield call
    for context in contexts:
        context.close()
    assert not said


def settle(page):
    """Waits until the result is on the screen."""
    page.wait_for_selector("#panel:not([hidden]):not([aria-busy])")
    assert page.locator("#problem").is_hidden(), page.locator("#problem").inner_text()


def upload(page, file=IMAGE):
    page.set_input_files("#file", file)
    settle(page)


def choose(page, name, value):
    page.locator(f"[name={name}][value={value}]").check(force=True)
    settle(page)


def after(page):
    """The pixels of the result on the screen, without the slider."""
    page.evaluate(
        "$('split').value = 0; $('split').dispatchEvent(new Event('input'));"
        "for (const e of document.querySelectorAll('.handle, .tag')) e.style.visibility = 'hidden'"
    )
    return np.array(Image.open(io.BytesIO(page.locator("#frame").screenshot())).convert("RGB"))


def difference(shown, expected):
    """Mean absolute difference to an image of another size."""
    height, width = shown.shape[:2]
    scaled = Image.fromarray(expected).resize((width, height), Image.Resampling.BILINEAR)
    return np.abs(shown.astype(float) - np.asarray(scaled.convert("RGB"))).mean()


@browser_test
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_from_a_file_to_the_classes(visit, result, size):
    page = visit(size=size)
    upload(page)
    rows = page.locator("#classes .name").all_inner_texts()
    names = [row.splitlines()[0] for row in rows]
    assert names == ["person", "background"]
    assert set(names) == set(result.class_names)
    share = dict(zip(result.class_names, result.ratios, strict=True))["person"]
    assert page.locator("#classes .area").first.inner_text() == f"{100 * share:.1f} %"
    assert "370 × 460" in page.locator("#facts").inner_text()
    assert page.locator("#status").inner_text().endswith(f"person {100 * share:.1f} %.")
    shown = after(page)
    assert difference(shown, result.plot("overlay")) < 4
    assert difference(shown, result.image) > 10  # which the bound above tells apart
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]


@browser_test
def test_each_kind(visit, result):
    page = visit()
    upload(page)
    values = page.locator("[name=kind]").evaluate_all("inputs => inputs.map((i) => i.value)")
    assert tuple(values) == KINDS
    for kind in KINDS[1:]:
        choose(page, "kind", kind)
        shown, expected = after(page), result.plot(kind)
        if kind == "cutout":
            kept = np.asarray(Image.fromarray(result.masks["person"]).resize(shown.shape[1::-1]))
            assert (
                np.abs(
                    shown[kept].mean(axis=0) - result.image[result.masks["person"]].mean(axis=0)
                ).max()
                < 4
            )
        else:
            assert difference(shown, expected) < 4, kind
            assert difference(shown, result.plot("overlay")) > 8, kind


@browser_test
def test_classes_are_switches_and_light_up(visit, site):
    page = visit()
    upload(page)
    row = page.locator("#classes label").first
    row.hover()
    assert page.locator("#light").is_visible()
    pixels = "$('{}').getContext('2d').getImageData(0, 0, found.across, found.down).data"
    alphas = page.evaluate(f"[...new Set({pixels.format('light')}.filter((_, i) => i % 4 === 3))]")
    assert sorted(alphas) == [150, 165]
    page.mouse.move(5, 5)
    assert page.locator("#light").is_hidden()
    row.click()
    settle(page)
    assert not page.evaluate("new Uint8Array(" + pixels.format("layer") + ").some(Boolean)")
    choose(page, "kind", "color")
    assert page.locator("#none").inner_text() == "Switch on a class."
    assert page.locator("#download").is_disabled()
    row.click()
    settle(page)
    assert page.locator("#download").is_enabled()


@browser_test
def test_backgrounds(visit, site, tmp_path):
    behind = tmp_path / "green.png"
    Image.new("RGB", (300, 200), (20, 180, 40)).save(behind)
    queries = {
        "blur": {"strength": "moderate"},
        "color": {"color": "#2a9d8f"},
        "gray": {},
        "cutout": {},
        "change": {},
    }
    page = visit()
    upload(page)
    choose(page, "task", "background")
    values = page.locator("[name=effect]").evaluate_all("inputs => inputs.map((i) => i.value)")
    assert set(values) == set(queries)
    files = {"image": IMAGE.read_bytes()}
    for effect, query in queries.items():
        choose(page, "effect", effect)
        if effect == "change":
            assert page.locator("#none").inner_text().startswith("Choose the image that goes")
            page.set_input_files("#behind", behind)
            settle(page)
            files["background"] = behind.read_bytes()
        with page.expect_download() as downloading:
            page.click("#download")
        answer = requests.post(
            f"{site}/v1/background",
            params={"effect": effect, **query},
            files={name: (name, content) for name, content in files.items()},
            headers={"Accept": "image/png"},
            timeout=30,
        )
        assert answer.status_code == 200
        assert Path(downloading.value.path()).read_bytes() == answer.content
        assert downloading.value.suggested_filename == f"example.{effect}.png"
        settle(page)
        if effect != "cutout":
            expected = np.array(Image.open(io.BytesIO(answer.content)).convert("RGB"))
            assert difference(after(page), expected) < 4, effect


@browser_test
def test_downloads(visit, result):
    page = visit()
    upload(page)
    page.locator("#alpha").fill("30")
    page.locator("#legend").check()
    with page.expect_download() as downloading:
        page.click("#download")
    drawn = np.array(Image.open(downloading.value.path()).convert("RGB"))
    np.testing.assert_array_equal(drawn, result.plot("overlay", alpha=0.3, legend=True))
    assert downloading.value.suggested_filename == "example.overlay.png"
    page.locator("#format").select_option("coco")
    with page.expect_download() as downloading:
        page.click("#download")
    assert downloading.value.suggested_filename == "example.coco.json"
    document = json.loads(Path(downloading.value.path()).read_text("utf-8"))
    assert [a["area"] for a in document["annotations"]] == [int(result.masks["person"].sum())]
    assert "kind=coco" in page.locator("#curl").text_content()
    page.locator("#format").select_option("cvat")
    with page.expect_download() as downloading:
        page.click("#download")
    assert downloading.value.suggested_filename == "example.cvat.xml"
    assert [mask.get("label") for mask in ET.parse(downloading.value.path()).iter("mask")] == [
        "person"
    ]


@browser_test
def test_the_keyboard_is_enough(visit):
    page = visit()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "example":
            break
    page.keyboard.press("Enter")
    settle(page)
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("(({ id, name, role }) => id || name || role)(document.activeElement)")
        )
        if seen[-1] == "split":
            page.keyboard.press("Home")
            assert page.evaluate("$('frame').style.getPropertyValue('--split')") == "0%"
        if seen[-1] == "kind" and page.locator("[name=kind]:checked").input_value() == "overlay":
            page.keyboard.press("ArrowRight")
            settle(page)
            assert page.locator("[name=kind]:checked").input_value() == "color"
        if seen[-1] == "switch":
            assert page.locator("#light").is_visible()
            page.keyboard.press("Space")
            assert not page.locator("[role=switch]").first.is_checked()
            page.keyboard.press("Space")
            settle(page)
        if seen[-1] == "download":
            break
    assert {"split", "task", "kind", "switch", "format", "download"} <= set(seen)


@browser_test
def test_dropped_pasted_and_photographed(visit):
    page = visit()
    start = """(kind) => fetch('example.jpg').then((r) => r.blob()).then((blob) => {
        const data = new DataTransfer();
        data.items.add(new File([blob], kind + '.jpg', { type: 'image/jpeg' }));
        const options = { bubbles: true, cancelable: true };
        dispatchEvent(kind === 'drop' ? new DragEvent('drop', { ...options, dataTransfer: data })
          : new ClipboardEvent('paste', { ...options, clipboardData: data })); })"""
    for kind in ("drop", "paste"):
        page.evaluate(start, kind)
        page.locator("#facts", has_text=f"{kind}.jpg").wait_for()
        settle(page)
    page.locator(".photo-live").last.click()
    page.click("#snap")
    page.locator("#facts", has_text="photo.jpg").wait_for()
    settle(page)
    assert page.evaluate("$('video').srcObject") is None


@browser_test
@pytest.mark.parametrize("name", ["photo.tif", "photo.bmp", "turned.jpg"])
def test_formats_that_browsers_do_not_show_and_turned_ones(visit, seg, tmp_path, name):
    image = Image.open(IMAGE)
    exif = Image.Exif()
    exif[0x0112] = 6 if name == "turned.jpg" else 1
    image.save(tmp_path / name, exif=exif)
    page = visit()
    upload(page, tmp_path / name)
    assert difference(after(page), seg.segment_image(tmp_path / name).plot("overlay")) < 4


@browser_test
def test_masks_of_every_depth_are_read(visit):
    """Few classes make PNGs of 1, 2 or 4 bits, over 256 classes of 16."""
    page = visit()
    random = np.random.default_rng(0)
    for classes in (2, 4, 16, 21, 300):
        ids = random.integers(0, classes, (37, 53)).astype(np.uint16 if classes > 256 else np.uint8)
        image = Image.fromarray(ids)
        if classes <= 256:
            image.putpalette(list(range(3 * classes)))
        data = io.BytesIO()
        image.save(data, "PNG")
        assert data.getvalue()[24] == {2: 1, 4: 2, 16: 4, 21: 8, 300: 16}[classes]
        read = page.evaluate(
            "async (bytes) => Array.from((await readPng(new Uint8Array(bytes))).ids)",
            list(data.getvalue()),
        )
        np.testing.assert_array_equal(np.array(read).reshape(ids.shape), ids)


@browser_test
def test_an_error_is_told_in_words(visit, tmp_path):
    page = visit()
    text = tmp_path / "notes.jpg"
    text.write_text("no image")
    page.set_input_files("#file", text)
    page.wait_for_selector("#problem:not([hidden])")
    assert (
        page.locator("#problem-title").inner_text() == "The image is in no format that is read here"
    )
    assert len(page.locator("#problem-detail").inner_text()) > 20
    assert "Traceback" not in page.content()
    assert page.locator("#start").is_visible()
    assert [re.sub(r"\(.*", "", line) for line in page.said] == [
        "Failed to load resource: the server responded with a status of 422 "
    ]
    page.said.clear()
    upload(page)  # and the next one works


@browser_test
def test_a_file_that_is_too_large_is_shrunk(browser, visit, seg, tmp_path):
    random = np.random.default_rng(0)
    image = np.asarray(Image.open(IMAGE).resize((1110, 1380))).astype(int)
    noisy = (image + random.integers(-4, 5, image.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "large.png")
    with live_server(create_app(seg, ServeLimits(max_mb=1))) as address:
        page = visit(address)
        page.set_input_files("#file", tmp_path / "large.png")
        page.wait_for_selector("#problem:not([hidden])")
        assert page.locator("#problem-title").inner_text() in (
            "The body is too large",
            "The server does not answer",  # a browser may still send when the server hangs up
        )
        page.click("#shrink")
        settle(page)
        assert "large.small.jpg · 1110 × 1380" in page.locator("#facts").inner_text()
        page.said.clear()


@browser_test
def test_a_server_with_a_key(visit, seg):
    with live_server(create_app(seg, ServeLimits(keys=[KEY]))) as address:
        page = visit(address)
        page.locator("#key").fill("a wrong key of the length")
        with page.expect_response("**/v1/models") as refused:
            page.locator("#key").press("Enter")
        assert refused.value.status == 401
        page.locator("#key").fill(KEY)
        page.locator("#key").press("Enter")
        page.wait_for_selector("#problem", state="hidden")
        upload(page)
        assert KEY not in page.locator("#curl").text_content()
        page.said.clear()
        page.reload()
        upload(page)


@browser_test
def test_several_models(visit, seg):
    with live_server(create_app({"first": seg, "second": seg})) as address:
        page = visit(address)
        upload(page)
        page.locator("#model").select_option("second")
        settle(page)
        assert "model=second" in page.locator("#curl").text_content()


@browser_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_axe_finds_nothing(visit, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page, axe = visit(size=size, color_scheme=scheme), Axe()

    def check():
        found = axe.run(page)
        assert not found.response["violations"], found.generate_report()
        assert len(found.response["passes"]) > 10

    check()
    upload(page)
    check()
    page.evaluate(
        "tell(new Problem({ title: 'Busy', detail: 'Try again.', code: 'no_key' }), start)"
    )
    choose_background = "document.querySelector('[name=task][value=background]').click()"
    page.evaluate(choose_background)
    page.wait_for_selector("#panel:not([aria-busy])")
    page.click("summary")
    check()
