"""The page over the real counter: real card, PIN check by the chip, split and journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from host_bridge.readers.virtual import VirtualReader
from host_bridge.web.app import create_app
from host_bridge.web.serve import WebServer
from tests.host_bridge.counter.till import Till
from tests.host_bridge.web.pages import at_screen, confirm

PIN_OF_THE_PHARMACY_PERSON = "271828"


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    """A pharmacy of the simulated city: PIN asked, the account may pay all."""
    till = Till(tmp_path, "990101", "P99010100007")
    yield till
    till.close()


@pytest.fixture
def page(browser: Browser, till: Till) -> Iterator[Page]:
    serving = WebServer(create_app(till.counter), "127.0.0.1", 0)
    serving.start()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(serving.url)
    yield page
    context.close()
    serving.stop()


def enter(page: Page, pin: str) -> None:
    page.keyboard.type(pin)
    page.keyboard.press("Enter")


def test_from_the_card_to_the_journal(page: Page, till: Till) -> None:
    at_screen(page, "idle")
    till.person("pharmacy")
    at_screen(page, "pin")
    enter(page, "271829")
    expect(page.get_by_text("剩余次数 2")).to_be_visible()
    enter(page, PIN_OF_THE_PHARMACY_PERSON)
    at_screen(page, "bill")
    page.get_by_role("button", name="定点药店购药").click()
    for code in ("Z2006", "X1016*2"):
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        expect(page.locator("#search")).to_have_value("")
    expect(page.locator(".amount-head .hero")).to_have_text("96.80")
    page.keyboard.press("Enter")

    at_screen(page, "presettled")
    expect(page.locator(".payment")).to_contain_text("80.00")
    expect(page.locator(".payment")).to_contain_text("16.80")
    assert till.events() == []
    confirm(page)
    at_screen(page, "done")
    expect(page.locator(".hero")).to_have_text("16.80")
    expect(page.get_by_text("凭条已打印")).to_be_visible()
    till.receipt()
    expect(page.get_by_text("中心已收")).to_be_visible()
    till.take()
    at_screen(page, "idle")
    expect(page.locator(".figures")).to_contain_text("1")

    (settled,) = till.settlements()
    assert (settled.med_type, settled.pin, settled.split.acct_pay) == ("41", "verified", 8000)
    assert PIN_OF_THE_PHARMACY_PERSON not in page.content()


def test_a_locked_pin_can_still_be_paid_in_cash(page: Page, till: Till) -> None:
    at_screen(page, "idle")
    till.person("pharmacy", card={"pin_tries": 1})
    at_screen(page, "pin")
    expect(page.get_by_text("剩余次数 1")).to_be_visible()
    enter(page, "000000")
    at_screen(page, "refused")
    expect(page.get_by_text("错误 −52")).to_be_visible()
    page.keyboard.press("Enter")
    at_screen(page, "bill")
    page.keyboard.type("Z2006")
    page.keyboard.press("Enter")
    expect(page.locator(".amount-head .hero")).to_have_text("66.80")
    page.keyboard.press("Enter")
    at_screen(page, "presettled")
    expect(page.locator(".split-panel .notice")).to_contain_text("全额现金")
    confirm(page)
    at_screen(page, "done")
    expect(page.locator(".hero")).to_have_text("66.80")
    (settled,) = till.settlements()
    assert (settled.mode, settled.reason) == ("full_cash", "-52")


def test_a_default_pin_is_changed_and_then_pays(page: Page, till: Till) -> None:
    at_screen(page, "idle")
    till.person("pharmacy", card={"pin": "000000"})
    at_screen(page, "pin")
    enter(page, "000000")
    at_screen(page, "refused")
    expect(page.get_by_text("错误 −35")).to_be_visible()
    page.keyboard.press("Enter")
    at_screen(page, "change")
    for pin in ("000000", "000000", "000000"):
        enter(page, pin)
    expect(page.locator("#notice")).to_contain_text("-36")
    for pin in ("000000", "314159", "314159"):
        enter(page, pin)
    at_screen(page, "pin")
    expect(page.get_by_text("密码已修改")).to_be_visible()
    enter(page, "314159")
    at_screen(page, "bill")
    expect(page.get_by_text("密码已验证")).to_be_visible()
    assert till.refusals() == []


def test_the_pad_of_the_reader_takes_the_pin(page: Page, till: Till) -> None:
    keys: list[str] = []
    till.reader = VirtualReader(str(till.slot), lambda: keys.pop(0) if keys else None)
    till.counter = till.make_counter("990101")
    serving = WebServer(create_app(till.counter), "127.0.0.1", 0)
    serving.start()
    till.counter.start()
    page.goto(serving.url)
    at_screen(page, "idle")
    till.person("pharmacy", poll=False)
    expect(page.get_by_text("密码键盘正在等待输入")).to_be_visible()
    keys += ["2", "7", "cancel"]
    expect(page.get_by_text("已取消输入密码")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("密码键盘正在等待输入")).to_be_visible()
    keys += [*PIN_OF_THE_PHARMACY_PERSON, "ok"]
    at_screen(page, "bill")
    serving.stop()


def test_a_card_pulled_in_the_middle_leaves_nothing_of_the_person(page: Page, till: Till) -> None:
    at_screen(page, "idle")
    till.person("pharmacy")
    at_screen(page, "pin")
    page.keyboard.type("271")
    till.take()
    at_screen(page, "idle")
    assert "0036" not in page.content()
    till.person("pharmacy")
    at_screen(page, "pin")
    expect(page.locator(".pin-dots [data-given]")).to_have_count(0)


def test_a_refund_of_what_was_settled_here(page: Page, till: Till) -> None:
    at_screen(page, "idle")
    page.keyboard.press("F2")
    at_screen(page, "reasons")
    page.keyboard.press("1")
    at_screen(page, "bill")
    page.keyboard.type("Z2006")
    page.keyboard.press("Enter")
    expect(page.locator(".amount-head .hero")).to_have_text("66.80")
    page.keyboard.press("Enter")
    at_screen(page, "presettled")
    confirm(page)
    at_screen(page, "done")
    confirm(page)
    at_screen(page, "idle")
    page.keyboard.press("F4")
    at_screen(page, "refunds")
    confirm(page)
    expect(page.get_by_text("整单退回")).to_be_visible()
    confirm(page)
    at_screen(page, "done")
    expect(page.get_by_text("应退现金")).to_be_visible()
    (refund,) = till.refunds()
    assert refund.split.psn_cash_pay == -6680
