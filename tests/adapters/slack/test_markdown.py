"""Slack's markup becomes Markdown in which nothing reaches beyond its message."""

import pytest

from adapters.slack.markdown import mentioned, to_markdown

PEOPLE = {"U1": "Ada", "U2": "Bob"}
CHANNELS = {"C1": "#general"}


@pytest.mark.parametrize(
    ("slack", "markdown"),
    [
        ("<@U1> and <@U2|bob>", "@Ada and @Bob"),
        ("<@U9>", "@U9"),
        ("<#C1> <#C2|random> <#C3>", "#general #random #C3"),
        ("<!here> <!subteam^S1|@team> <!date^1^{date}|today>", "@here @team today"),
        ("<https://x.example/a>", "https://x.example/a"),
        ("<https://x.example/a|x.example/a>", "x.example/a"),
        ("<https://x.example/a|see [this]>", "[see (this)](https://x.example/a)"),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),
        ("a &lt; b &amp;&amp; c", "a < b && c"),
        ("# no heading", r"\# no heading"),
        ("text\n---\nmore", "text\n\\---\nmore"),
        ("`code &lt;`", "`code <`"),
        ("see ```a\nb``` there", "see\n\n```\na\nb\n```\n\nthere"),
        ("```\n<https://x.example/a|x>\n```", "```\nx\n```"),
        ("never ```closed", "never '''closed"),
        ("&lt;!-- hidden", r"\<!-- hidden"),
    ],
)
def test_markup(slack: str, markdown: str) -> None:
    assert to_markdown(slack, people=PEOPLE, channels=CHANNELS) == markdown


def test_who_is_named() -> None:
    assert mentioned("<@U1>, <@U2|bob> and <#C1>") == {"U1", "U2"}
