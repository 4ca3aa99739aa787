"""Take a picture of a page."""

from typing import Any

from playwright.sync_api import Browser


def take(browser: Browser, request: dict[str, Any]) -> list[str]:
    """Open `address` in a window of `width` by `height`, do `steps`, and write what is seen to the file `picture`.

    A step is `["click", selector]`, `["wait", selector]`, `["scroll", selector]`, `["hide", selector]` or
    `["pause", milliseconds]`. `only` is the selector of the one element that is pictured; without it, the window is.
    """
    context = browser.new_context(
        viewport={"width": request["width"], "height": request["height"]}, color_scheme="light", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        page.goto(request["address"])
        for kind, what in request.get("steps", []):
            if kind == "click":
                page.click(what)
            elif kind == "wait":
                page.wait_for_selector(what, timeout=90_000)
            elif kind == "scroll":
                page.locator(what).first.evaluate("one => one.scrollIntoView({block: 'start'})")
            elif kind == "hide":
                page.add_style_tag(content=f"{what} {{ display: none !important }}")
            elif kind == "pause":
                page.wait_for_timeout(what)
            else:
                raise AssertionError(f"no such step: {kind}")
        shown = page.locator(request["only"]).first if request.get("only") else page
        shown.screenshot(path=request["picture"], animations="disabled")
        return []
    finally:
        context.close()
