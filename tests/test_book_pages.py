"""Every page of the real book (profile smoke), opened from disk in headless Chromium without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
EDITION = "smoke-minicity"
SITE = ROOT / "build" / "site" / EDITION
GENERATED_PAGES = ("index", "genindex", "py-modindex", "search")

pytestmark = pytest.mark.book


def toc_pages() -> list[str]:
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    toc = yaml.safe_load(text)
    return [toc["root"], *re.findall(r"^\s*-\s+file:\s+(\S+)", text, flags=re.M)]


PAGES = [*toc_pages(), *GENERATED_PAGES]
NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]


@pytest.fixture(scope="session")
def site() -> Path:
    """The pages, built by what ``make book PROFILE=smoke`` calls; at once where they are up to date."""
    command = [sys.executable, str(ROOT / "book" / "build.py"), "--profile", "smoke"]
    result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, f"make book PROFILE=smoke failed:\n{result.stdout}"
    return SITE


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        message = "Chromium or chromedriver is not installed: no page was looked at"
        if os.environ.get("LABKIT_REQUIRE_CHROMIUM"):
            pytest.fail(message)
        pytest.skip(message)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    window.set_script_timeout(30)
    yield window
    window.quit()


SETTLE = """
const done = arguments[arguments.length - 1];
const load = image => image.complete ? 0 : new Promise(r => { image.onload = image.onerror = r; });
const images = [...document.images].map(load);
const typeset = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
Promise.all([typeset, document.fonts.ready, ...images]).then(() => done(true));
"""

LOOK = """
const article = document.querySelector('.bd-article') || document.body;
return {
  images: [...document.images].map(i => ({
    src: i.getAttribute('src'), alt: i.alt, width: i.naturalWidth, inArticle: !!i.closest('.bd-article')})),
  untypeset: [...document.querySelectorAll('.math')]
    .filter(m => !m.querySelector('mjx-container')).map(m => m.textContent),
  mathErrors: [...document.querySelectorAll('mjx-merror, [data-mml-node="merror"]')].map(m => m.textContent),
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  text: article.innerText,
};
"""


def open_page(browser, url: str, width: int) -> dict:
    """Open a page as wide as told, wait until it stands still, and report what it shows and logs."""
    browser.get_log("browser"), browser.get_log("performance")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url)
    browser.execute_async_script(SETTLE)
    seen = browser.execute_script(LOOK)
    seen["scroll_width"] = browser.execute_script("return document.documentElement.scrollWidth")
    seen["errors"] = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    seen["requests"] = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            parameters = message["params"]
            url = parameters["request"]["url"] if "request" in parameters else parameters["url"]
            if urlsplit(url).scheme not in ("file", "data", "blob", "about"):
                seen["requests"].append(url)
    return seen


@pytest.mark.parametrize("page", PAGES)
def test_page_in_chromium(site, browser, page):
    seen = open_page(browser, (site / f"{page}.html").as_uri(), width=1280)
    problems = [f"console: {message}" for message in seen["errors"]]
    problems += [f"asks the network for {url}" for url in seen["requests"]]
    for image in seen["images"]:
        if not image["width"]:
            problems.append(f"{image['src']} is not drawn")
        if not image["alt"].strip():
            problems.append(f"{image['src']} has no alt text")
        elif re.search(r"\.(png|jpe?g|svg|gif)$|^_images|^\S+/\S+$", image["alt"]):
            problems.append(f"{image['src']}: its alt text is a file path: {image['alt']}")
    alts = Counter(image["alt"] for image in seen["images"] if image["inArticle"])
    problems += [f"{count} pictures share the alt text {alt!r}" for alt, count in alts.items() if count > 1]
    problems += [f"not typeset: {formula}" for formula in seen["untypeset"]]
    problems += [f"formula with an error: {formula}" for formula in seen["mathErrors"]]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_phone(site, browser, page):
    seen = open_page(browser, (site / f"{page}.html").as_uri(), width=400)
    assert seen["scroll_width"] <= 400
    assert not seen["errors"]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_notebook_page_carries_its_stamp(site, browser, page):
    copy = json.loads((ROOT / "build" / "executed" / EDITION / f"{Path(page).name}.ipynb").read_text("utf-8"))
    stamp = copy["metadata"]["labkit"]
    text = " ".join(open_page(browser, (site / f"{page}.html").as_uri(), width=1280)["text"].split())
    for expected in (
        "profile smoke",
        f"data {stamp['data']}",
        f"commit {stamp['commit']}",
        f"hardware {stamp['hardware']}",
    ):
        assert expected in text
    assert re.search(r"seeds? \d", text)
    assert re.search(r"executed in \d+ (s|min)", text)


def test_search_works_from_disk(site, browser):
    from selenium.webdriver.support.ui import WebDriverWait

    seen = open_page(browser, (site / "search.html").as_uri() + "?q=logits", width=1280)
    found = WebDriverWait(browser, 10).until(
        lambda window: window.execute_script(
            "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        )
    )
    assert any("glossary.html" in link for link in found)
    assert not seen["errors"] and not browser.get_log("browser")


def test_every_built_page_is_looked_at(site):
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {page for page in built if not page.startswith("_static/")} == set(PAGES)


def test_links_between_pages_lead_somewhere(site):
    dead = []
    for page in PAGES:
        path = site / f"{page}.html"
        for link in re.findall(r'<a[^>]*\shref="([^"]+)"', path.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            if parts.scheme or not parts.path:
                continue
            if not (path.parent / unquote(parts.path)).exists():
                dead.append(f"{page}: {link}")
    assert not dead, "\n".join(dead)


def test_no_machine_path_is_published(site):
    places = {str(ROOT), str(Path.home())} - {"/"}
    found = [
        f"{path.relative_to(site)}: {place}"
        for path in site.rglob("*")
        if path.suffix in (".html", ".js", ".ipynb", ".md")
        for place in places
        if place + os.sep in path.read_text(encoding="utf-8", errors="ignore")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_download_is_the_clean_notebook(site, page):
    source = ROOT / f"{page}.ipynb"
    assert (site / "_sources" / f"{page}.ipynb").read_bytes() == source.read_bytes()
    for cell in json.loads(source.read_text("utf-8"))["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None


DATA_NAMES = ("MiniCity", "CamVid", "GTA5", "SYNTHIA", "Cityscapes")


def test_no_number_stands_beside_a_published_one_without_its_data(site):
    from bs4 import BeautifulSoup

    compared = 0
    for path in sorted(site.rglob("*.html")):
        for table in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select("table"):
            heads = [head.get_text(" ", strip=True) for head in table.select("thead th")]
            if not any("paper" in head for head in heads):
                continue
            compared += 1
            for head in filter(None, heads):
                assert any(name in head for name in DATA_NAMES), (
                    f"{path.name}: the column {head!r} does not name its data"
                )
    assert compared, "no table compares with a paper"
