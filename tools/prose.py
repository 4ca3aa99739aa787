"""A handful of rules for the project's pages: short sentences, the field's words, nothing of one machine.

Blocks of code, tables, diagrams and what stands in backticks are not prose. A rule that is often wrong is not here.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from resources.profiles import ROOT

LONGEST_SENTENCE = 45
"""Words of one sentence: beyond that nobody keeps its beginning in mind."""

LONGEST_AVERAGE = 22
"""Words of a page's average sentence; pages with few sentences have no average."""

FEW_SENTENCES = 5

FIELD_WORDS = {
    r"contests?": "champion-challenger comparison",
    r"dark (?:model|models|prediction|predictions|score|scores|scoring)": "shadow",
    r"newcomers?": "new customers",
    r"barred": "excluded",
    r"lingering": "still in window",
    r"strangers": "unexpected values",
    r"heirs?": "replacement",
    r"twins?": "duplicate",
    r"gravity": "severity",
    r"watched (?:table|tables|column|columns)": "monitored",
    # A registry's mirror is one: "a mirror of".
    r"mirrors?(?! of\b)": "local copy",
    r"spools?": "buffer",
}
"""Words that only this project used, and what the field says."""

NOT_ON_A_PAGE = {
    r"\b(?:pypi|npmjs|rubygems|crates)\.(?:org|com|io)\b": "a registry's host",
    r"(?<![\w.~$}/])/(?:tmp|work|root|home/\w+|Users/\w+)/[\w.-]": "a path of one machine",
}
"""What makes a page true on one machine only. Blocks of code count, too: that is where people copy from."""

Finding = tuple[int, str]
"""A line of a page, counted from 1, and what is wrong there."""


def pages() -> list[Path]:
    """Return the pages that are read: at the top and below `docs/`."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield each paragraph, point of a list or quotation with the line where it begins: plain words, no markup."""
    begun, lines, fenced, comment = 0, list[str](), "", False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        bare = re.sub(r"^[\s>]+", "", line)
        fence = re.match(r"(```+|~~~+)", bare)
        if fence and (not fenced or bare.startswith(fenced)):
            fenced = "" if fenced else fence[1]
        comment = comment or bare.startswith("<!--")
        skipped = bool(fenced or fence or comment or bare.startswith(("|", "#", "![", "<", "[!")) or not bare)
        comment = comment and "-->" not in bare
        item = re.match(r"(?:[-*+]|\d+[.)])\s+", bare)
        if (skipped or item) and lines:
            yield begun, plain(" ".join(lines))
            lines = []
        if not skipped:
            begun = begun if lines else number
            lines.append(bare[item.end() :] if item else bare)


def plain(markdown: str) -> str:
    """Return the words of a paragraph: a link by its text, code as one word, nothing bold or slanted."""
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"(`+).+?\1", "code", text)
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)", "", text)


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph; a semicolon ends none, a full stop within a number or an `e.g.` neither."""
    kept = re.sub(r"\b(e\.g|i\.e|etc|cf|vs|No|Dr)\.", lambda found: found[1].replace(".", "") + " ", paragraph)
    return [one for one in re.split(r"(?<=[.!?:])[)\"”']*\s+(?=[\"“(]?[A-Z0-9]|code\b)", kept) if words(one)]


def words(sentence: str) -> list[str]:
    """Return the words of a sentence; numbers count, signs do not."""
    return re.findall(r"\w[\w.,'\u2019/%-]*", sentence)


def findings(text: str) -> list[Finding]:
    """Return what is wrong with a page, in the order of its lines."""
    found: list[Finding] = []
    lengths: list[int] = []
    for number, paragraph in paragraphs(text):
        for sentence in sentences(paragraph):
            lengths.append(len(words(sentence)))
            if lengths[-1] > LONGEST_SENTENCE:
                beginning = " ".join(sentence.split()[:7])
                what = f"a sentence of {lengths[-1]} words, at most {LONGEST_SENTENCE}: split it ({beginning} …)"
                found.append((number, what))
        for pattern, ours in FIELD_WORDS.items():
            named = re.findall(rf"\b{pattern}\b", paragraph, re.IGNORECASE)
            found += [(number, f"the field has a word for {match!r}: {ours}") for match in named]
    if len(lengths) >= FEW_SENTENCES and sum(lengths) / len(lengths) > LONGEST_AVERAGE:
        average = sum(lengths) / len(lengths)
        found.append((1, f"sentences of {average:.1f} words on average, at most {LONGEST_AVERAGE}: shorten the page"))
    for pattern, what in NOT_ON_A_PAGE.items():
        places = [(text.count("\n", 0, match.start()) + 1, match[0]) for match in re.finditer(pattern, text)]
        found += [(line, f"{what}, {match!r}: say it in general") for line, match in places]
    return sorted(found)


def main(given: Iterable[str] = ()) -> None:
    """Print what is wrong with these pages, or with all; leave with 1 if anything is."""
    wrong = 0
    for page in [Path(one).resolve() for one in given] or pages():
        for line, what in findings(page.read_text()):
            wrong += 1
            print(f"{page.relative_to(ROOT) if page.is_relative_to(ROOT) else page}:{line}: {what}")
    if wrong:
        sys.exit(f"{wrong} findings in the pages' prose")


if __name__ == "__main__":
    main(sys.argv[1:])
