"""The clerk page in a real browser, over a counter that follows a script."""

import msgspec
import pytest
from playwright.sync_api import Page, expect

from host_bridge.web.app import create_app
from host_bridge.web.bodies import CatalogueLine
from host_bridge.web.serve import WebServer
from protocols.settlement.split import BillError
from tests.host_bridge.web.pages import add_item, at_screen, confirm, show_presettled, show_refused
from tests.host_bridge.web.script import LOCKED, NOTICE, ONLINE, PERSON, PIN, RECEIVED, ScriptedCounter


def test_a_default_pin_is_changed_with_the_keyboard_alone(page: Page, counter: ScriptedCounter) -> None:
    counter.refuse_default_pin()
    at_screen(page, "refused")
    expect(page.locator(".button.primary")).to_contain_text("修改密码")
    confirm(page)
    at_screen(page, "change")
    heading, ok = page.get_by_role("heading", level=1), page.locator(".keypad .primary")
    expect(heading).to_contain_text("请输入原密码")
    expect(page.get_by_text("剩余次数 3")).to_be_visible()
    page.keyboard.type("135790")
    page.keyboard.press("Enter")
    expect(heading).to_contain_text("请输入新密码")
    expect(page.locator(".pin-dots [data-given]")).to_have_count(0)
    expect(page.get_by_text("新密码至少 6 位")).to_be_visible()
    page.keyboard.type("31415")
    expect(ok).to_be_disabled()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    expect(heading).to_contain_text("请再次输入新密码")
    page.keyboard.type("314158")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("-34")
    expect(heading).to_contain_text("请输入原密码")
    for pin in ("135791", "314159", "314159"):
        page.keyboard.type(pin)
        page.keyboard.press("Enter")
    expect(heading).to_contain_text("原密码不正确")
    expect(page.get_by_text("剩余次数 2")).to_be_visible()
    for pin in ("135790", "314159", "314159"):
        page.keyboard.type(pin)
        page.keyboard.press("Enter")
    at_screen(page, "pin")
    expect(page.get_by_text("密码已修改")).to_be_visible()
    assert [call for call, _ in counter.calls] == ["begin_change", *["change_pin"] * 3]
    assert counter.tries == [3, 3, 2]
    assert not any(map(any, counter.pins))
    assert "314159" not in page.content()


def test_the_pin_stays_as_it_is_on_escape(page: Page, counter: ScriptedCounter) -> None:
    counter.ask_pin()
    at_screen(page, "pin")
    page.keyboard.press("F8")
    at_screen(page, "change")
    page.keyboard.type("1357")
    page.keyboard.press("Escape")
    at_screen(page, "pin")
    expect(page.locator(".pin-dots [data-given]")).to_have_count(0)
    assert [call for call, _ in counter.calls] == ["begin_change", "keep_pin"]


def test_a_reload_forgets_what_was_typed_of_a_change(page: Page, counter: ScriptedCounter) -> None:
    counter.ask_change()
    at_screen(page, "change")
    page.keyboard.type("135790")
    page.keyboard.press("Enter")
    page.reload()
    at_screen(page, "change")
    expect(page.get_by_role("heading", level=1)).to_contain_text("请输入原密码")


def test_a_pin_typed_before_the_answer_to_a_wrong_one_is_not_lost(page: Page, counter: ScriptedCounter) -> None:
    """The stream shows the tries left before the request for the wrong PIN has ended."""
    counter.ask_pin()
    at_screen(page, "pin")
    page.evaluate("""() => {
      const real = window.fetch;
      let held = false;
      window.fetch = async (...asked) => {
        const answer = await real(...asked);
        if (held || !String(asked[0]).endsWith("/pin")) return answer;
        held = true;
        await new Promise((go) => { window.release = go; });
        return answer;
      };
    }""")
    page.keyboard.type("111111\n")
    expect(page.get_by_text("剩余次数 2")).to_be_visible()
    page.keyboard.type(f"{PIN}\n")
    at_screen(page, "bill")
    page.evaluate("window.release()")
    at_screen(page, "bill")
    assert [call for call, _ in counter.calls] == ["pin", "pin"]


def test_with_a_pad_nothing_is_typed_here(page: Page, counter: ScriptedCounter) -> None:
    counter.wait_at_pad()
    at_screen(page, "pin")
    expect(page.get_by_role("heading", level=1)).to_contain_text("请在密码键盘上输入密码")
    expect(page.get_by_text("密码键盘正在等待输入")).to_be_visible()
    expect(page.locator(".keypad")).to_have_count(0)
    page.keyboard.type("135790")
    page.keyboard.press("Enter")
    counter.wait_at_pad(trouble=NOTICE)
    expect(page.get_by_text("密码键盘没有在等待")).to_be_visible()
    expect(page.locator(".pin-ask .notice")).to_contain_text(NOTICE.number)
    page.keyboard.press("Enter")
    expect(page.get_by_text("密码键盘正在等待输入")).to_be_visible()
    assert counter.pins == []
    assert [call for call, _ in counter.calls] == ["ask_pad"]


def test_a_visit_with_the_keyboard_alone(page: Page, counter: ScriptedCounter) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("请插入社会保障卡")
    counter.insert_card()
    at_screen(page, "reading")
    counter.ask_pin()
    at_screen(page, "pin")
    expect(page.get_by_text("李＊华")).to_be_visible()
    expect(page.get_by_text("剩余次数 3")).to_be_visible()

    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("密码不正确")
    expect(page.get_by_text("剩余次数 2")).to_be_visible()
    expect(page.locator(".pin-dots [data-given]")).to_have_count(0)

    page.keyboard.type("1357")
    page.keyboard.press("Backspace")
    page.keyboard.type("790")
    expect(page.locator(".pin-dots [data-given]")).to_have_count(6)
    page.keyboard.press("Enter")
    at_screen(page, "bill")

    add_item(page, "xcg*2", "血常规")
    add_item(page, "F3003", "胸部")
    add_item(page, "aqms", "阿奇霉素片")
    page.keyboard.press("+")
    expect(page.locator(".amount-head .hero")).to_have_text("416.67")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Delete")
    expect(page.locator(".amount-head .hero")).to_have_text("216.67")
    add_item(page, "F3003", "胸部")
    page.keyboard.press("Enter")

    at_screen(page, "presettled")
    expect(page.locator(".amount-head .hero")).to_have_text("241.42")
    expect(page.locator(".split-rows")).to_contain_text("175.25")
    expect(page.get_by_text("确认前不产生任何记录")).to_be_visible()
    confirm(page)

    at_screen(page, "done")
    expect(page.get_by_text("请取回社保卡").first).to_be_visible()
    expect(page.get_by_text("等待中心接收")).to_be_visible()
    counter.change(result=RECEIVED)
    expect(page.get_by_text("中心已收")).to_be_visible()
    expect(page.get_by_text("凭条已打印")).to_be_visible()
    expect(page.locator(".button.primary")).to_be_enabled()
    page.keyboard.press("r")
    confirm(page)
    at_screen(page, "idle")

    assert [name for name, _ in counter.calls] == ["pin", "pin", "bill", "settle", "reprint", "finish"]
    ((_, lines),) = counter.bills
    assert lines == (CatalogueLine("F3002", "2"), CatalogueLine("X1002", "2"), CatalogueLine("F3003", "1"))


def test_a_visit_with_touch_alone(page: Page, counter: ScriptedCounter) -> None:
    counter.ask_pin()
    for digit in "135790":
        page.get_by_role("group", name="密码小键盘").get_by_role("button", name=digit, exact=True).tap()
    page.get_by_role("button", name="确认").tap()
    at_screen(page, "bill")
    page.get_by_role("combobox").fill("血常规")
    page.get_by_role("option", name="血常规").tap()
    page.get_by_role("button", name="增加").tap()
    page.get_by_role("button", name="急诊").tap()
    page.get_by_role("button", name="预结算").tap()
    at_screen(page, "presettled")
    page.get_by_role("button", name="确认结算").tap()
    at_screen(page, "done")
    page.get_by_role("button", name="完成").tap()
    at_screen(page, "idle")
    assert counter.bills == [("13", (CatalogueLine("F3002", "2"),))]


def test_the_pin_is_never_in_the_document(page: Page, counter: ScriptedCounter) -> None:
    counter.ask_pin()
    at_screen(page, "pin")
    seen = []
    for digit in "246802":
        page.keyboard.press(digit)
        seen.append(page.locator(".pin-dots").inner_html() + page.evaluate("JSON.stringify({...localStorage})"))
    values = page.evaluate("[...document.querySelectorAll('input')].map((each) => each.value)")
    page.keyboard.press("Enter")
    expect(page.get_by_text("剩余次数 2")).to_be_visible()
    assert values == []
    assert not any("246802" in text for text in (*seen, page.content(), page.url))
    assert all(digit not in seen[-1].replace("data-given", "") for digit in "246802")


def test_a_refusal_is_a_page_with_everything_on_it(page: Page, counter: ScriptedCounter) -> None:
    show_refused(counter)
    at_screen(page, "refused")
    for text in ("−52", "SW 6983", LOCKED.zh.title, LOCKED.zh.what, LOCKED.zh.holder, LOCKED.zh.bill, LOCKED.en.what):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_text("剩余次数 0")).to_be_visible()
    expect(page.locator("[aria-current=step]")).to_have_attribute("data-at", "stopped")
    page.keyboard.press("p")
    confirm(page)
    at_screen(page, "bill")
    assert [(name, value) for name, value in counter.calls if name != "pin"] == [
        ("print_guide", None),
        ("full_cash", "pin_locked"),
    ]


def test_full_cash_asks_why(page: Page, counter: ScriptedCounter) -> None:
    page.keyboard.press("F2")
    at_screen(page, "reasons")
    page.keyboard.press("Escape")
    at_screen(page, "idle")
    page.keyboard.press("F2")
    page.keyboard.press("3")
    at_screen(page, "bill")
    assert counter.calls == [("full_cash", "emergency")]


def test_two_fast_presses_do_not_confirm_an_amount_nobody_saw(page: Page, counter: ScriptedCounter) -> None:
    counter.want_bill()
    at_screen(page, "bill")
    add_item(page, "xcg", "血常规")
    page.evaluate("""() => {
      const press = () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
      const watch = new MutationObserver(() => {
        if (document.documentElement.dataset.screen !== "presettled") return;
        watch.disconnect();
        press();
      });
      watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-screen"] });
      press();
    }""")
    at_screen(page, "presettled")
    expect(page.locator(".button.primary")).to_be_enabled()
    assert [name for name, _ in counter.calls] == ["bill"]


def test_changing_the_bill_can_be_left_without_giving_the_visit_up(page: Page, counter: ScriptedCounter) -> None:
    show_presettled(counter)
    at_screen(page, "presettled")
    page.keyboard.press("F3")
    at_screen(page, "bill")
    page.keyboard.press("Escape")
    at_screen(page, "presettled")
    assert [name for name, _ in counter.calls] == ["bill"]


def test_after_touch_the_keyboard_goes_on(page: Page, counter: ScriptedCounter) -> None:
    counter.ask_pin()
    page.get_by_role("button", name="1", exact=True).tap()
    page.keyboard.type("35790")
    page.keyboard.press("Enter")
    at_screen(page, "bill")
    page.get_by_role("button", name="急诊").tap()
    add_item(page, "xcg", "血常规")
    page.get_by_role("button", name="增加").tap()
    page.keyboard.press("Enter")
    at_screen(page, "presettled")
    assert counter.pins == [bytearray(6)]


def test_a_refund_is_confirmed_before_it_is_asked_for(page: Page, counter: ScriptedCounter) -> None:
    page.keyboard.press("F4")
    at_screen(page, "refunds")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="退费")).to_have_count(0)
    page.keyboard.press("ArrowUp")
    confirm(page)
    expect(page.get_by_text("整单退回")).to_be_visible()
    assert counter.calls == []
    confirm(page)
    at_screen(page, "done")
    expect(page.get_by_text("应退现金")).to_be_visible()
    expect(page.locator(".hero")).to_have_text("241.42")
    assert counter.calls == [("refund", "990101-0007/1/41")]


def test_a_scanner_may_be_faster_than_the_list(page: Page, counter: ScriptedCounter) -> None:
    counter.want_bill()
    at_screen(page, "bill")
    page.keyboard.type("F3004*3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="心电图检查")).to_contain_text("90.00")


def test_a_reload_keeps_the_step_and_the_bill(page: Page, counter: ScriptedCounter) -> None:
    show_presettled(counter)
    at_screen(page, "presettled")
    page.reload()
    at_screen(page, "presettled")
    expect(page.locator("[aria-current=step]")).to_contain_text("账单")
    page.keyboard.press("F3")
    at_screen(page, "bill")
    expect(page.get_by_role("row", name="阿奇霉素片")).to_be_visible()


def test_a_mistake_in_the_bill_is_told_and_the_bill_stays(page: Page, counter: ScriptedCounter) -> None:
    counter.want_bill()
    at_screen(page, "bill")
    add_item(page, "xcg", "血常规")
    counter.failing = BillError("bill_too_large")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_text("S-008")).to_be_visible()
    expect(page.get_by_role("row", name="血常规")).to_be_visible()


@pytest.mark.parametrize("mode", ["provisional", "full_cash"])
def test_what_is_not_online_is_said_in_words(page: Page, counter: ScriptedCounter, mode: str) -> None:
    show_presettled(counter)
    counter.change(split=msgspec.structs.replace(ONLINE, mode=mode))
    words = {"provisional": "临时结算", "full_cash": "本单基金不支付"}[mode]
    expect(page.locator(".split-panel .notice")).to_contain_text(words)


def test_simulated_data_is_marked_wherever_it_is_used(page: Page, counter: ScriptedCounter) -> None:
    expect(page.locator("header").get_by_text("模拟数据")).to_be_visible()
    show_presettled(counter)
    expect(page.locator(".split-panel").get_by_text("模拟数据")).to_be_visible()


def test_a_notice_about_the_person_does_not_stop_the_visit(page: Page, counter: ScriptedCounter) -> None:
    counter.want_bill()
    at_screen(page, "bill")
    page.keyboard.type("xc")
    counter.change(person=msgspec.structs.replace(PERSON, notices=(NOTICE,)))
    expect(page.get_by_text("S-031")).to_be_visible()
    expect(page.get_by_role("combobox")).to_be_focused()
    expect(page.get_by_role("combobox")).to_have_value("xc")


def test_a_lost_program_is_a_state_of_its_own_and_comes_back(
    page: Page, counter: ScriptedCounter, server: WebServer
) -> None:
    counter.ask_pin()
    at_screen(page, "pin")
    page.keyboard.type("12")
    port = int(server.url.rsplit(":", 1)[1])
    server.stop()
    expect(page.get_by_role("alert")).to_contain_text("连接已断开")
    page.keyboard.type("3456")
    page.keyboard.press("Enter")
    counter.want_bill()
    again = WebServer(create_app(counter), "127.0.0.1", port)
    again.start()
    try:
        expect(page.get_by_role("alert")).to_be_hidden(timeout=15_000)
        at_screen(page, "bill")
        assert counter.calls == []
    finally:
        again.stop()
