"""The ledger's filters, in headless Chromium on the page opened from disk, and the page without JavaScript."""

from __future__ import annotations

import json
import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_book_pages import browser, open_page  # noqa: F401  (a fixture)
from test_ledger import IDS, pages  # noqa: F401  (a fixture)

from labkit.papers.experiments import experiments

ROWS = [
    (one.id, block.table, row)
    for one in experiments().values()
    for block in one.blocks
    for row in dict.fromkeys(number.row for number in block.numbers)
]
"""Every row of the page's tables: experiment, table, name."""

SHOWN = """
const visible = element => !!element && element.getClientRects().length > 0;
const sections = [...document.querySelectorAll('span[id^="ledger-"]')];
return {
  experiments: sections.filter(span => visible(span.closest('section').querySelector('h3')))
    .map(span => span.id.slice(7).toUpperCase()),
  rows: [...document.querySelectorAll('.lab-block tbody tr')].filter(visible)
    .map(row => row.cells[0].innerText.replace(/\\s+/g, ' ').trim()),
  blocks: [...document.querySelectorAll('.lab-block')].filter(visible).length,
  overview: [...document.querySelectorAll('td a[href^="#ledger-"]')].filter(visible).map(link => link.innerText),
  papers: [...document.querySelectorAll('h2')].filter(visible).map(head => head.innerText.replace('¶', '').trim()),
  status: document.querySelector('#ledger-filter output').innerText,
  form: visible(document.getElementById('ledger-filter')),
};
"""


def without_fonts(errors: list[str]) -> list[str]:
    """Without those about the theme's fonts, which the book's other extension mends."""
    return [message for message in errors if "webfonts" not in message]


@pytest.fixture
def opened(pages, browser):  # noqa: F811
    """A function that opens the ledger with a fragment, and what of it is shown."""

    def open_with(fragment: str = "") -> dict:
        browser.get("about:blank")  # or another fragment of the same page would not load it again
        seen = open_page(browser, (pages / "ledger.html").as_uri() + fragment, width=1280)
        assert not without_fonts(seen["errors"]) and not seen["requests"]
        return browser.execute_script(SHOWN)

    return open_with


def chosen(browser, **values: str) -> dict:  # noqa: F811
    """Choose by the options' values, type into the search field, and look again."""
    for name, value in values.items():
        field = browser.find_element(By.CSS_SELECTOR, f"#ledger-filter [name={name}]")
        if name == "text":
            field.clear()
            field.send_keys(value)
        else:
            Select(field).select_by_value(value)
    return browser.execute_script(SHOWN)


def counted(rows: int, experiments_: int) -> str:
    return f"{rows} of {len(ROWS)} rows shown, in {experiments_} of {len(IDS)} experiments"


def test_at_first_everything_is_shown_and_counted(opened):
    shown = opened()
    assert shown["form"] and shown["experiments"] == IDS == shown["overview"]
    assert len(shown["rows"]) == len(ROWS) and shown["status"] == counted(len(ROWS), len(IDS))


def test_by_paper(opened, browser):  # noqa: F811
    opened()
    shown = chosen(browser, paper="toldo2020")
    assert shown["experiments"] == ["C1", "C2", "C3", "C4"] == shown["overview"], "also those without a number"
    assert shown["papers"] == ["Cycle consistency and feature alignment (toldo2020)"]
    rows = sum(name in ("C1", "C2") for name, *_ in ROWS)
    assert len(shown["rows"]) == rows and shown["status"] == counted(rows, 4)


def test_by_data_and_by_whether_there_is_one_of_ours(opened, browser):  # noqa: F811
    """The results that the page is built from: C1 and A4 on MiniCity, A7 with γ = 2 on GTA5; costs are computed."""
    opened()
    published = chosen(browser, data="synthia-cityscapes")
    assert {"C1", "D1", "D2", "D4"} <= set(published["experiments"]) and "A4" not in published["experiments"]
    on_minicity = chosen(browser, data="minicity", ours="yes")
    assert set(on_minicity["experiments"]) == {"A4", "C1"}
    assert "oracle" in on_minicity["rows"] and "CycleGAN (1)" not in on_minicity["rows"]
    on_gta5 = chosen(browser, data="gta5-cityscapes", ours="yes")
    assert set(on_gta5["experiments"]) == {"A7"}
    every = chosen(browser, data="", ours="yes")
    assert {"A1", "A2", "A4", "A7", "C1"} <= set(every["experiments"]) and "A3" not in every["experiments"]
    none = chosen(browser, ours="no")
    assert len(every["rows"]) + len(none["rows"]) == len(ROWS)
    options = browser.find_elements(By.CSS_SELECTOR, "#ledger-filter [name=data] option")
    assert "minicity-camvid" not in [one.get_attribute("value") for one in options], "a smoke run is not shown"


def test_by_words_anywhere(opened, browser):  # noqa: F811
    opened()
    shown = chosen(browser, text="multilevel  DISCREPANCY 0.01")  # the title of B4, the setting of a row
    assert shown["experiments"] == ["B4"] and len(shown["rows"]) == 2
    assert all(row.startswith("λ = 0.01, two levels") for row in shown["rows"])
    shown = chosen(browser, text="ADAM γ")  # in the experiment's description too, but some rows have it themselves
    assert shown["experiments"] == ["A7"] and [row[:11] for row in shown["rows"]] == [
        f"γ = {n}, Adam" for n in (0, 2, 3)
    ]
    shown = chosen(browser, text="gta5 alone")  # what the description says holds of all rows
    assert "A4" in shown["experiments"] and "source only" in shown["rows"]
    assert chosen(browser, text="two-phase")["experiments"] == ["C4"], "an experiment without a number"
    shown = chosen(browser, text="no such words")
    assert not shown["experiments"] and not shown["rows"] and not shown["overview"]
    assert shown["status"].startswith("Nothing matches")


def test_the_view_stands_in_the_address_and_can_be_linked(opened, browser):  # noqa: F811
    opened()
    shown = chosen(browser, paper="yan2022", ours="no", text="maximum squares")
    address = browser.current_url
    assert address.split("#")[1] == "paper=yan2022&ours=no&text=maximum+squares"
    assert shown["rows"] and opened("#" + address.split("#")[1]) == shown
    assert browser.find_element(By.CSS_SELECTOR, "[name=text]").get_attribute("value") == "maximum squares"
    browser.find_element(By.CSS_SELECTOR, "#ledger-filter button").click()
    assert "#" not in browser.current_url and browser.execute_script(SHOWN)["experiments"] == IDS
    assert opened("#paper=nobody2020&data=&colour=red")["experiments"] == IDS, "what is unknown filters nothing"
    browser.execute_script("location.hash = 'paper=loda2025'")
    assert browser.execute_script(SHOWN)["experiments"] == ["B1", "B2", "B3", "B4", "B5"]
    browser.back()
    assert browser.execute_script(SHOWN)["experiments"] == IDS


def test_a_link_to_a_hidden_experiment_shows_it(opened, browser):  # noqa: F811
    assert opened("#ledger-d2")["experiments"] == IDS, "a place is no filter"
    chosen(browser, paper="baitan2025")
    browser.execute_script("location.hash = 'ledger-a5'")
    assert browser.execute_script(SHOWN)["papers"] == ["Real-time domain adaptation (baitan2025)"], "it was not hidden"
    browser.execute_script("location.hash = 'ledger-d2'")
    assert browser.execute_script(SHOWN)["experiments"] == IDS
    top = "return document.getElementById('ledger-d2').getBoundingClientRect().top"
    WebDriverWait(browser, 10).until(lambda window: 0 <= window.execute_script(top) < 900)  # the theme scrolls smoothly


def test_with_the_keyboard_alone(opened, browser):  # noqa: F811
    opened()
    browser.execute_script("document.querySelector('#ledger-filter select').focus()")
    press = browser.switch_to.active_element.send_keys
    press("loda")
    assert browser.execute_script(SHOWN)["experiments"] == ["B1", "B2", "B3", "B4", "B5"]
    names = []
    for _ in range(4):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        names.append(browser.switch_to.active_element.get_attribute("name"))
    assert names == ["data", "ours", "text", ""]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid", "the focus is seen"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script(SHOWN)["experiments"] == IDS
    browser.find_element(By.CSS_SELECTOR, "[name=text]").send_keys("dice", Keys.ENTER)
    assert browser.current_url.endswith("#text=dice"), "the form is not sent anywhere"


def test_every_control_has_a_name_and_the_count_is_announced(opened, browser):  # noqa: F811
    opened()
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored", False)
    }
    assert {("search", "Filter the ledger"), ("searchbox", "Search"), ("button", "Show all")} <= named
    assert {("combobox", name) for name in ("Paper", "Data", "Numbers")} <= named
    (status,) = [node for node in tree if node.get("role", {}).get("value") == "status"]
    said = {one["name"]: one["value"].get("value") for one in status["properties"]}
    assert said["live"] == "polite"


def test_without_javascript_the_whole_table_is_shown_and_no_dead_form(pages, browser):  # noqa: F811
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get((pages / "ledger.html").as_uri() + "#paper=toldo2020")
        assert not browser.find_element(By.ID, "ledger-filter").is_displayed()
        rows = browser.find_elements(By.CSS_SELECTOR, ".lab-block tbody tr")
        assert len(rows) == len(ROWS) and all(row.rect["height"] > 0 for row in rows)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_form_fits_a_phone(pages, browser):  # noqa: F811
    seen = open_page(browser, (pages / "ledger.html").as_uri(), width=400)
    form = browser.find_element(By.ID, "ledger-filter").rect
    assert not without_fonts(seen["errors"]) and form["x"] >= 0 and form["x"] + form["width"] <= 400


def test_the_facts_of_the_filters_are_those_of_the_tables(pages):  # noqa: F811
    from bs4 import BeautifulSoup

    page = BeautifulSoup((pages / "ledger.html").read_text(encoding="utf-8"), "html.parser")
    for script in page.select("script.ledger-facts"):
        name = script.find_parent("section").find("span", id=re.compile("^ledger-"))["id"][7:].upper()
        published = experiments()[name]
        rows = [len(table.select("tbody tr")) for table in script.find_parent("section").select(".lab-block table")]
        facts = json.loads(script.string)
        assert facts["paper"] == published.paper and [len(table) for table in facts["tables"]] == rows
