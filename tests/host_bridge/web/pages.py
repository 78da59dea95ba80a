"""What a test does with the clerk page, and how a scripted counter gets to a screen."""

from playwright.sync_api import Page, expect

from host_bridge.web.bodies import CatalogueLine
from tests.host_bridge.web.script import ScriptedCounter


def at_screen(page: Page, name: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-screen", name)


def confirm(page: Page) -> None:
    """Enter, once the screen has been there long enough to be seen."""
    expect(page.locator(".button.primary")).to_be_enabled()
    page.keyboard.press("Enter")


def add_item(page: Page, typed: str, name: str) -> None:
    page.keyboard.type(typed)
    expect(page.get_by_role("option", name=name).first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name=name)).to_be_visible()


def show_bill(counter: ScriptedCounter) -> None:
    show_presettled(counter)
    view = counter.view()
    counter.show("bill", "bill", person=view.person, bill=view.bill)


def show_presettled(counter: ScriptedCounter) -> None:
    counter.want_bill()
    counter.enter_bill("11", [CatalogueLine("F3002", "2"), CatalogueLine("F3003", "1"), CatalogueLine("X1002", "2")])


def show_done(counter: ScriptedCounter) -> None:
    show_presettled(counter)
    counter.settle()


def show_refused(counter: ScriptedCounter) -> None:
    counter.ask_pin()
    for _ in range(3):
        counter.enter_pin(bytearray(b"000000"))
