"""The pages in a real browser: live without reload, linked, and without horizontal scrolling."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.needs import need
from tests.server.web.conftest import Served

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = ((1920, 1080), (1280, 800), (1024, 768), (800, 480), (390, 844))
PATHS = ("/", "/terminals", "/settlements", "/differences", "/quarantine", "/alarms")
DEADLINE_MS = 20_000


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that fails the test on any script error or refused resource."""
    need("no chromium on this machine (apt-get install chromium)" if CHROMIUM is None else None)
    troubles: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        made = browser.new_page(viewport={"width": 1280, "height": 800})
        made.set_default_timeout(DEADLINE_MS)
        made.on("pageerror", lambda error: troubles.append(str(error)))
        made.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
        yield made
        browser.close()
    assert troubles == []


def _settle(served: Served, count: str = "1") -> str:
    clinic = served.morning.clinic
    sent = clinic.settle("employee", ("X1001", count))
    served.morning.centre.clock.move(0.1)
    clinic.send(sent)
    return sent.id


def test_a_settlement_appears_live_and_leads_to_its_event(served: Served, page: Page) -> None:
    page.goto(served.url)
    expect(page.locator("html")).to_have_attribute("data-link", "here")
    settled = page.locator("#figures .figure-value").nth(2)
    expect(settled).to_have_text("8")
    page.evaluate("window.same = true")
    sent = _settle(served, "4")
    line = page.locator("#stream li").first
    expect(line).to_contain_text("50.00")
    expect(settled).to_have_text("9")
    assert page.evaluate("window.same") is True, "the page was not loaded again"
    line.locator("a").click()
    expect(page).to_have_url(f"{served.url}/event/{sent}")
    expect(page.locator("h1")).to_contain_text("普通门诊结算")
    expect(page.locator(".hero-money")).to_have_text("50.00")


def test_other_pages_renew_themselves(served: Served, page: Page) -> None:
    page.goto(served.url + "/settlements")
    expect(page.locator("html")).to_have_attribute("data-link", "here")
    sent = _settle(served)
    expect(page.locator(f'a[href="/event/{sent}"]')).to_be_visible()


def test_what_needs_attention_leads_to_its_cause(served: Served, page: Page) -> None:
    page.goto(served.url)
    page.locator("#attention").get_by_text("隔离 1 笔").click()
    expect(page).to_have_url(f"{served.url}/quarantine?terminal={served.morning.clinic.id}")
    page.get_by_role("link", name=served.morning.quarantined.id).click()
    expect(page.locator("main")).to_contain_text("金额勾稽不符")


def test_the_page_says_when_it_is_cut_off_and_comes_back(served: Served, page: Page) -> None:
    page.goto(served.url)
    expect(page.locator("html")).to_have_attribute("data-link", "here")
    page.context.set_offline(True)
    served.close_streams()
    expect(page.get_by_text("页面已断开，正在重连")).to_be_visible()


def test_nothing_scrolls_sideways(served: Served, page: Page) -> None:
    paths = [*PATHS, f"/event/{served.morning.provisional.id}", f"/terminals/{served.morning.pharmacy.id}"]
    for path in paths:
        page.goto(served.url + path)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


def test_the_overview_fits_one_screen(served: Served, page: Page) -> None:
    for width, height in SIZES[:2]:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(served.url)
        for element in ("document.documentElement", "document.querySelector('main')"):
            assert page.evaluate(f"{element}.scrollHeight <= {element}.clientHeight"), (element, width, height)


def test_the_chart_is_drawn_with_its_notes(served: Served, page: Page) -> None:
    page.goto(served.url)
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#chart .notes")).to_contain_text("补传 1 笔，最久 09:00")


def test_language_and_form_are_remembered(served: Served, page: Page) -> None:
    page.goto(served.url)
    html = page.locator("html")
    expect(html).to_have_attribute("data-form", "light")
    page.locator('[data-choice="form"]').click()
    page.locator('[data-choice="form"]').click()
    expect(html).to_have_attribute("data-form", "dark")
    for words in ("zh", "en"):
        page.locator('[data-choice="words"]').click()
        expect(html).to_have_attribute("data-words", words)
    page.goto(served.url + "/terminals")
    expect(html).to_have_attribute("data-form", "dark")
    expect(html).to_have_attribute("data-words", "en")
    expect(page.get_by_role("heading", name="Terminals")).to_be_visible()
    expect(page.locator("h1 .zh")).to_be_hidden()


def test_tables_work_with_scripts_off(served: Served, page: Page) -> None:
    assert page.context.browser is not None
    plain = page.context.browser.new_context(java_script_enabled=False).new_page()
    plain.goto(served.url)
    expect(plain.locator("#stream li").first).to_be_visible()
    expect(plain.locator("#figures")).to_contain_text("227.75")
    plain.locator("nav").get_by_text("结算").click()
    expect(plain.locator("table").first).to_contain_text("职工统筹/大额")


@pytest.mark.parametrize("form", ["light", "dark"])
def test_every_word_can_be_read(served: Served, page: Page, form: str) -> None:
    """Contrast of each text against what lies behind it is at least 4.5."""
    page.emulate_media(color_scheme=form)  # type: ignore[arg-type]
    for path in ("/", "/settlements", "/alarms", f"/event/{served.morning.provisional.id}"):
        page.goto(served.url + path)
        expect(page.locator("html")).to_have_attribute("data-form", form)
        assert page.evaluate(WEAK) == [], path


WEAK = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) weak.push([element.textContent.trim().slice(0, 30), contrast]);
  }
  return weak;
}"""
