"""Take a picture of a page."""

from typing import Any

from playwright.sync_api import Browser


def take(browser: Browser, request: dict[str, Any]) -> list[str]:
    """Open `address` in a window of `width` by `height`, do `steps`, and write what is seen to the file `picture`.

    A step is `["click", selector]`, `["wait", selector]` (for `wait_ms` at most) or `["pause", milliseconds]`.
    """
    context = browser.new_context(
        viewport={"width": request["width"], "height": request["height"]}, color_scheme="light", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        page.goto(request["address"])
        for kind, what in request.get("steps", []):
            if kind == "click":
                page.click(what, timeout=request["wait_ms"])
            elif kind == "wait":
                page.wait_for_selector(what, timeout=request["wait_ms"])
            elif kind == "pause":
                page.wait_for_timeout(what)
            else:
                raise AssertionError(f"no such step: {kind}")
        page.screenshot(path=request["picture"], animations="disabled")
        return []
    finally:
        context.close()
