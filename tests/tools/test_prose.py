"""The prose linter finds what its few rules name, and nothing in code, tables and links."""

import pytest

from tools.prose import FEW_SENTENCES, LONGEST_AVERAGE, LONGEST_SENTENCE, findings

LONG = " ".join(["word"] * LONGEST_SENTENCE)


def test_a_short_page_in_the_fields_words_is_left_alone():
    assert findings("# Title\n\nThe champion scores. It is monitored every week.\n\n- A point.\n- Another one.\n") == []


def test_a_long_sentence_is_named_by_its_line_and_its_beginning():
    [(line, what)] = findings(f"# Title\n\nShort. Then {LONG}.\n")
    assert line == 3
    assert what.startswith(
        f"a sentence of {LONGEST_SENTENCE + 1} words, at most {LONGEST_SENTENCE}: split it (Then word"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"```\n{LONG} {LONG}\n```",
        f"| {LONG} | {LONG} |",
        f"> ```\n> {LONG} {LONG}\n> ```",
        f"Run `{LONG} {LONG}` now.",
        f"See [here](page.md#{'a-' * LONGEST_SENTENCE}).",
        f"- {LONG}\n- {LONG}",
        f"<!-- {LONG}\n{LONG} -->",
        "It took 1.8 s, e.g. of 26 s." + " It ended." * 30,
    ],
)
def test_code_tables_links_and_comments_are_not_sentences(text):
    assert findings(text) == []


def test_a_page_of_long_sentences_fails_as_a_whole_even_where_each_would_pass():
    sentence = "So " + " ".join(["word"] * LONGEST_AVERAGE) + ".\n"
    assert findings(sentence * (FEW_SENTENCES - 1)) == []
    [(line, what)] = findings(sentence * FEW_SENTENCES)
    assert line == 1
    assert "words on average" in what


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A contest decides.", "champion-challenger comparison"),
        ("The mirror is refreshed.", "local copy"),
        ("Newcomers raise no alarm.", "new customers"),
        ("A dark model scores.", "shadow"),
    ],
)
def test_a_private_word_is_answered_with_the_fields(text, said):
    [(_, what)] = findings(text)
    assert what.endswith(said)


def test_everyday_uses_of_such_words_stay():
    assert findings("Use a mirror of your own. It was dark. He watched the run. `twins` is a name.") == []


@pytest.mark.parametrize(
    "text", ["```\ncd /home/me/baton\n```", "Look in /tmp/x for it.", "It is on https://" + "crates" + ".io now."]
)
def test_what_is_true_on_one_machine_only_is_found_in_code_too(text):
    assert len(findings(text)) == 1


@pytest.mark.parametrize("text", ["It lives in /var/lib/baton.", "`https://example.org/work/x`", "`$HOME/work/x`"])
def test_other_paths_stay(text):
    assert findings(text) == []
