"""What looks like a secret is taken out of other programs' texts before a person, a log or an alert sees them."""

import re

HIDDEN = "…"
"""What stands in a secret's place."""

_KEY = re.compile(r"-----BEGIN[\s\S]*?(-----END[^-]*-----|$)")

_SECRET = re.compile(
    r"""(?ix)
    bearer\s+[\w.+/=~-]+
    | authorization\\?["']?\s*[=:]\s*\\?["']?(?:\w+\s+)?[^\s"'\\]+
    | ya29\.[\w.-]+ | eyJ[\w.-]{20,} | AIza[\w-]{30,}   # Google's access tokens, JSON web tokens, Google's API keys
    | (?<=://)[^\s/@:]+:[^\s/@]+(?=@)       # user:password in an address
    | (?:key|token|secret|password|passwd)\\?["']?\s*[=:]\s*   # a name that ends so, and its value
      (?:\\?"[^"\\]* | \\?'[^'\\]* | [^\s"'&,}\\]+)
    """
)


def masked(text: str) -> str:
    """Return the text with `…` in place of private keys, tokens, and what is named key, token, secret or password.

    It errs towards hiding: of `key=5` nothing is left either. Mask before cutting a text, as half a key is no longer
    recognised as one.
    """
    return _SECRET.sub(HIDDEN, _KEY.sub(HIDDEN, text))
