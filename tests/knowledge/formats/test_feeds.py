import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.feeds import convert
from knowledge.markdown import headings

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Firm news</title><description>All of it</description>
<managingEditor>Ada</managingEditor>
<item><title>Bus to Bonn</title><pubDate>Wed, 01 May 2024 10:20:30 +0200</pubDate>
<description>&lt;p&gt;It leaves at &lt;b&gt;nine&lt;/b&gt;.&lt;/p&gt;</description></item>
<item><title>Older</title><pubDate>Mon, 01 Apr 2024 10:20:30 +0200</pubDate><description>x</description></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Firm news</title><author><name>Ada</name></author>
<updated>2024-05-01T10:20:30Z</updated><entry><title>Bus to Bonn</title><updated>2024-04-01T00:00:00Z</updated>
<content type="html">&lt;p&gt;At nine.&lt;/p&gt;</content></entry></feed>"""


@pytest.mark.parametrize(
    ("feed", "suffix", "date"),
    [(RSS, ".rss", "2024-05-01T10:20:30+02:00"), (ATOM, ".atom", "2024-05-01T10:20:30+00:00"),
     (RSS, ".xml", "2024-05-01T10:20:30+02:00")],
)  # fmt: skip
def test_feeds(feed: str, suffix: str, date: str) -> None:
    page = convert(feed.encode(), suffix=suffix)
    assert page.title == "Firm news"
    assert page.metadata == {"author": "Ada", "date": date}
    assert [found.text for found in headings(page.text)][:2] == ["Firm news", "Bus to Bonn"]
    assert "nine" in page.text


def test_other_xml_stays_as_it_is() -> None:
    page = convert("<config><title>Limits</title><max>140 €</max></config>".encode("utf-16"), suffix=".xml")
    assert page.text == "```xml\n<config><title>Limits</title><max>140 €</max></config>\n```"
    assert page.title == "Limits"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<rss><channel>", "no valid XML .*; repair or exclude it"),
        ("no xml", "no valid XML"),
        (
            '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>',
            "it declares XML entities, which can expand without end",
        ),
        ('<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><r>&f;</r>', "it declares XML entities"),
    ],
)
def test_damaged_and_dangerous_files(text: str, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(text.encode(), suffix=".xml")


def test_long_xml_is_whole() -> None:
    text = "<log>" + "<entry>It was nine.</entry>" * 50_000 + "<end/></log>"
    assert convert(text.encode(), suffix=".xml").text == f"```xml\n{text}\n```"
