"""Takes the README's two pictures from a running site: `python -m tests.system.pictures`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from hardware.virtual.morning import Player, load_morning
from hardware.virtual.site import Site

DOCS = Path(__file__).parent.parent.parent / "docs"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
SIZE = {"width": 1280, "height": 800}


def take(page: Page, address: str, seen: str, name: str) -> None:
    """Open a page, wait until a text is seen, keep the picture."""
    page.goto(address)
    page.get_by_text(seen).first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=DOCS / name)


def main() -> None:
    """Play the morning; before that, stop at vector D2 before it is confirmed."""
    morning = load_morning()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        site = Site(Path(folder) / "site", morning.counter)
        try:
            site.start()
            first = morning.visit[0]
            counter = site.counters[first.terminal]
            assert first.card is not None and first.bill is not None  # noqa: PT018
            site.insert(counter.terminal, first.card)
            counter.wait("the card to be read", lambda state: state["stage"] == "bill")
            lines = [{"code": code, "cnt": cnt} for code, cnt in first.bill.lines.items()]
            counter.post("bill", {"med_type": first.bill.med_type, "lines": lines})
            take(page, counter.web, "241.42", "clerk.png")
            counter.post("cancel", {})
            site.remove(counter.terminal, first.card)
            counter.wait_idle()
            Player(site, print).play(morning.visit)
            take(page, site.web, "示范医院", "centre.png")
        finally:
            site.stop()
            browser.close()


if __name__ == "__main__":
    main()
