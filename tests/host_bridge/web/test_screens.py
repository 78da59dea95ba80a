"""Every screen of the clerk page: it fits, can be read, and its keys and targets are there."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import pytest
from playwright.sync_api import Page, expect

from tests.host_bridge.web.pages import (
    at_screen,
    show_bill,
    show_done,
    show_presettled,
    show_refused,
)
from tests.host_bridge.web.script import NOTICE, PERSON, ScriptedCounter

SIZES = ((800, 480), (1280, 800), (1920, 1080))


CONTRAST = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const light = ({ r, g, b }) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("[aria-hidden]")) continue;
    const [one, two] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) bad.push(`${walker.currentNode.data} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


WIDER_THAN_THE_SCREEN = """() => [document.documentElement, document.querySelector("main")]
  .some((each) => each.scrollWidth > each.clientWidth)"""


KEYS_IN_SIGHT = """() => {
  const bottom = document.querySelector("#keys").getBoundingClientRect().bottom + 1;
  return [...document.querySelectorAll("#keys kbd")]
    .filter((each) => each.getBoundingClientRect().bottom <= bottom).map((each) => each.textContent);
}"""


SMALL_TARGETS = """() => [...document.querySelectorAll("button, input, [role=option], tr[data-do]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => { const box = each.getBoundingClientRect(); return box.height < 55.5 || box.width < 55.5; })
  .map((each) => each.outerHTML.slice(0, 80))"""


class Screen(NamedTuple):
    """`name` on the page, how the counter gets there, the key that opens it, whether it has a main action."""

    name: str
    show: Callable[[ScriptedCounter], None]
    key: str | None = None
    main_action: bool = False


SCREENS = (
    Screen("idle", lambda counter: counter.show("idle", "insert")),
    Screen("reading", lambda counter: counter.insert_card()),
    Screen("pin", lambda counter: counter.ask_pin(), main_action=True),
    Screen("pin", lambda counter: counter.wait_at_pad()),
    Screen("pin", lambda counter: counter.wait_at_pad(trouble=NOTICE), main_action=True),
    Screen("change", lambda counter: counter.ask_change(), main_action=True),
    Screen("refused", lambda counter: counter.refuse_default_pin(), main_action=True),
    Screen("bill", show_bill, main_action=True),
    Screen("presettled", show_presettled, main_action=True),
    Screen("done", show_done, main_action=True),
    Screen("refused", show_refused, main_action=True),
    Screen("stopped", lambda counter: counter.show("stopped", "insert")),
    Screen("refunds", lambda counter: counter.show("idle", "insert"), key="F4", main_action=True),
    Screen("reasons", lambda counter: counter.show("pin", "pin"), key="F6"),
)


def open_screens(page: Page, counter: ScriptedCounter) -> Iterator[Screen]:
    """Each screen in turn, drawn."""
    for screen in SCREENS:
        counter.reset()
        counter.insert_card()
        at_screen(page, "reading")
        screen.show(counter)
        if screen.key is not None:
            at_screen(page, counter.view().stage)
            page.keyboard.press(screen.key)
        at_screen(page, screen.name)
        yield screen


def test_english_can_come_first(page: Page, counter: ScriptedCounter) -> None:
    page.keyboard.press("F12")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Insert the social security card, chip first请插入社会保障卡"
    )
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    at_screen(page, "idle")
    expect(page.locator("#keys")).to_contain_text("Without card")
    page.get_by_role("button", name="中文").tap()
    expect(page.locator("#keys")).to_contain_text("无卡办理")


def test_a_state_is_announced(page: Page, counter: ScriptedCounter) -> None:
    counter.insert_card()
    expect(page.get_by_role("status")).to_have_text("正在读卡")
    counter.ask_pin()
    expect(page.get_by_role("status")).to_have_text("请持卡人输入密码")


def test_hostile_names_stay_text(page: Page, counter: ScriptedCounter) -> None:
    counter.want_bill()
    counter.change(person=msgspec.structs.replace(PERSON, name="<img src=x onerror=alert(1)>"))
    expect(page.locator(".person-name")).to_contain_text("<img src=x")
    assert page.locator(".person img").count() == 0


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_screen_fits_and_can_be_read(
    page: Page, counter: ScriptedCounter, size: tuple[int, int], language: str
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    if language == "en":
        page.keyboard.press("F12")
    for screen in open_screens(page, counter):
        assert not page.evaluate(WIDER_THAN_THE_SCREEN), screen.name
        assert page.evaluate(CONTRAST) == [], screen.name
        assert page.evaluate(SMALL_TARGETS) == [], screen.name
        assert page.locator(".button.primary").count() == int(screen.main_action), screen.name
        if screen.main_action:
            expect(page.locator(".button.primary")).to_be_in_viewport(ratio=1)
        for step in range(6):
            expect(page.locator(".step").nth(step)).to_be_visible()


def test_focus_can_be_seen(page: Page, counter: ScriptedCounter) -> None:
    page.keyboard.press("Tab")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"
    assert page.evaluate("document.activeElement.matches('button')")


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_action_on_screen_has_its_key_in_the_footer(
    page: Page, counter: ScriptedCounter, size: tuple[int, int], language: str
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    if language == "en":
        page.keyboard.press("F12")
    for screen in open_screens(page, counter):
        named = page.evaluate(KEYS_IN_SIGHT)
        shortcuts = page.locator(".stay button").evaluate_all("(all) => all.map((each) => each.ariaKeyShortcuts)")
        assert {each.replace("Escape", "Esc") for each in shortcuts} <= set(named), screen.name
