"""What a model writes can notify nobody and leads nowhere new."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.cleaning import clean

DOCS = "https://good.example/docs"


def cleaned(markdown: str) -> str:
    return clean(markdown, allowed_links={DOCS}).replace("\u200b", "·")


@pytest.mark.parametrize(
    "markdown",
    [
        "",
        " \n",
        "Book at least **seven days** ahead, see [the policy](https://good.example/docs) [1][3].\n\n> quoted\n",
        "Two: https://good.example/docs, (https://good.example/docs/) and <https://good.example/docs>.",
        "[by reference][d]\n\n[d]: https://good.example/docs 'Docs'",
        "- a * b, 2 ** 3, snake_case, \\*stars\\*, a < b && c > d\r\n- vector<int>",
        "`<https://evil.example>` and `@everyone`",
        "```sh\ncurl https://evil.example # @here\n```",
        "| a | b |\n|---|---|\n| 1 | [x](https://good.example/docs) |",
        "Wait...what? e.g. 3.5 of v1.2.3, i.e. the U.S. price",
        "Write to nobody@ or #general, ask @bob.",
    ],
)
def test_what_is_harmless_stays_as_it_is(markdown: str) -> None:
    assert clean(markdown, allowed_links={DOCS}) == markdown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("<!channel> <!here|here> <!everyone>", "@·channel @·here @·everyone"),
        ("<!subteam^S12|@team> and <!subteam^S12>", "@team and @S12"),
        ("<@U12> <@U12|bob> <#C12|general> <#C12>", "@U12 @bob #general #C12"),
        ("@channel @Here @everyone", "@·channel @·Here @·everyone"),
        ("<@123> <@!123> <@&123>", "@123 @123 @123"),
        ("&lt;!channel&gt; &#60;@U12&#x3e; @every&#111;ne", "@·channel @U12 @·everyone"),
        ("\\<!channel\\> \\@everyone", "@·channel @·everyone"),
        ("`<!channel>`", "`<·!channel>`"),
        ("```\n<@U12>\n```", "```\n<·@U12>\n```"),
    ],
)
def test_nobody_is_notified(markdown: str, shown: str) -> None:
    assert cleaned(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("[text](https://evil.example/a)", "text (`https://evil.example/a`)"),
        ("![logo](https://evil.example/i.png)", "logo (`https://evil.example/i.png`)"),
        ("<https://evil.example>", "`https://evil.example`"),
        ("see https://evil.example.", "see `https://evil.example`."),
        (
            "[text][r] [r]\n\n[r]: https://evil.example",
            "text (`https://evil.example`) r (`https://evil.example`)\n\n",
        ),
        ("HTTPS://EVIL.example", "`HTTPS://EVIL.example`"),
        ("https://good.example@evil.example", "`https://good.example@evil.example`"),
        ("https://good.example/docs\u200b@evil.example", "`https://good.example/docs·@evil.example`"),
        ("https&#58;&#47;/evil.example", "`https://evil.example`"),
        ("https\\://evil.example", "`https://evil.example`"),
        ("[x](javascript:alert(1))", "x (`javascript:alert(1)`)"),
        ("[x]( <java&#115;cript:alert(1)> )", "x (`javascript:alert(1)`)"),
        ("[a [b] c](https://evil.example)", "a [b] c (`https://evil.example`)"),
        (
            "[https://evil.example](https://good.example/docs)",
            "`https://evil.example` (`https://good.example/docs`)",
        ),
        ("<https://evil.example|click here>", "click here (`https://evil.example`)"),
        ("<https://evil.example|click>", "click (`https://evil.example`)"),
        ("<https://good.example/docs|the docs> <@U1>", "[the docs](https://good.example/docs) @U1"),
        ("join discord.gg/abc or www.evil.example", "join `discord.gg/abc` or `www.evil.example`"),
        ("mail a@evil.example", "mail `a@evil.example`"),
        ("run docs/setup.py", "run `docs/setup.py`"),
        ("see [Hotels](#hotels) and [meals](meals.md)", "see Hotels and meals (`meals.md`)"),
        ("a <std::string> b", "a `<std::string>` b"),
        ("`` a ` b `` https://evil.example `", "`a ' b` `https://evil.example` '"),
        ("> 1. see\n>    https://evil.example", "> 1. see\n>    `https://evil.example`"),
        ("Title https://evil.example\n===\nText", "# Title `https://evil.example`\nText"),
        ("| a |\n|---|\n| `x\\|y` evil.example |", "| a |\n|---|\n| `x\\|y` `evil.example` |"),
        ("~~~py\nhttps://evil.example\n~~~", "```py\nhttps://evil.example\n```"),
        ("- x\n\n      https://evil.example", "- x\n\n```\nhttps://evil.example\n```"),
        ('<a href="https://evil.example">x</a>', '\\<a href="`https://evil.example`">x\\</a>'),
    ],
)
def test_a_link_that_was_not_asked_about_is_shown_as_text(markdown: str, shown: str) -> None:
    assert cleaned(markdown) == shown


def test_each_allowed_link_stays() -> None:
    other = "https://b.example/x_(y)?a=1&b=2"
    text = f"![logo]({other}) **[docs]({DOCS})**, {other} ({DOCS}) [{other}]({other})"
    assert clean(text, allowed_links={DOCS, other}) == text
    written_anew = clean(f"{text} <@U1>", allowed_links={DOCS, other})
    assert written_anew == text.replace(f"({other})", "(https://b.example/x_%28y%29?a=1&b=2)") + " @U1"


def test_a_link_may_not_call_itself_by_another_address() -> None:
    other = "https://b.example/"
    assert clean(f"[{other}]({DOCS})", allowed_links={DOCS, other}) == f"{other} (`{DOCS}`)"


def test_a_sentence_keeps_the_space_that_parts_it_from_the_next() -> None:
    assert cleaned("\nAsk <@U1>. ") == "\nAsk @U1. "


_WORDS = r"""
    <!channel> <!here|here> <!subteam^S12|@x> <@U123> <@U1|bob> <#C1|gen> @channel @here @everyone <@&42> <@42>
    &#60; &lt; &#62; &gt; !channel @U1 https://evil.example HTTPS://evil.example/a_b https://good.example@evil.example
    https://good.example/docs https://good.example/docs/ www.evil.example discord.gg/abc evil.example //
    javascript:alert(1) mailto:a@evil.example a@evil.example //evil.example [ ] ( ) ]( [x] [a]( ![ < > ` `` ``` ~~~ |
    \ * ** _ ~~ # &#58;// &amp; text <b> " , . ! [evil.example]: <https://evil.example|x>
"""
_NASTY = st.sampled_from(
    _WORDS.split()
    + "[x]: ;\n;\n\n;\n> ;\n- ;\n1. ;    ; ;\n# ;\n===\n;\t;\n[x]: ;\r\n;\n```\n;\n~~~ ;\u200b".split(";")
    + ["\n| a | b |\n|---|---|\n| ", '<a href="https://evil.example">']
)
_REFERENCE = MarkdownIt("commonmark", {"html": False}).enable("table")


def _tokens(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or ())


@given(st.lists(_NASTY, min_size=1, max_size=14).map("".join))
@example("<!<https://evil.example|x>")
@example("[x]: [x]\n[x]: javascript:alert(1)")
@example("| a | b |\n|---|---|\n| ||<!channel>")
@example("&#60;https://evil.example<!subteam^S12|@x>")
def test_whatever_a_model_writes(markdown: str) -> None:
    result = clean(markdown, allowed_links={DOCS})

    assert clean(result, allowed_links={DOCS}) == result
    for token in _tokens(_REFERENCE.parse(result)):
        if target := str(token.attrs.get("href") or token.attrs.get("src") or ""):
            address = urlsplit(target)
            assert (address.netloc, address.path.rstrip("/"), address.query) == ("good.example", "/docs", "")
        if token.type == "text":
            _assert_harmless(token.content)
    # What a simpler parser sees as text, once the two plain forms of code are taken out.
    source = re.sub(r"(?ms)^[ >\-\d.]*```.*?^[ >]*```", " ", result)
    source = re.sub(r"`[^`\n]+`", " ", source)
    if "`" not in source:
        _assert_harmless(source)


def _assert_harmless(text: str) -> None:
    assert not re.search(r"<[@#]\w|<!(?:channel|here|everyone|subteam)|@(?:everyone|here|channel)", text)
    assert not re.search(r"(?:evil\.example|discord\.gg)(?!\w)", text, re.IGNORECASE)
