import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.outlook import convert
from tests.knowledge.formats.making import msg, ole

MAY_1 = 133590252300000000
"""2024-05-01 08:20:30 UTC, counted as Windows does."""
STATED = {
    "0037": "Bus to Bonn",
    "0C1A": "Ada",
    "0C1F": "ada@example.org",
    "0E04": "Team",
    "1000": "At nine.\r\n",
}


def test_a_message() -> None:
    page = convert(msg(STATED, sent=MAY_1, attachments={"rates.csv": b"City,EUR\nBonn,140\n"}), suffix=".msg")
    assert page.title == "Bus to Bonn"
    assert page.metadata == {
        "author": "Ada <ada@example.org>",
        "to": "Team",
        "date": "2024-05-01T08:20:30+00:00",
    }
    assert page.text == (
        "# Bus to Bonn\n\n**From:** Ada <ada@example.org>  \n**To:** Team  \n**Date:** 2024-05-01T08:20:30+00:00\n\n"
        "At nine.\n\n## Attachment rates.csv\n\n| City | EUR |\n| --- | --- |\n| Bonn | 140 |"
    )


def test_exchange_addresses_and_html() -> None:
    page = convert(
        msg({"0037": "Bus", "0C1A": "Ada", "0C1F": "/O=FIRM/CN=ADA", "1013": "<p>At <b>ten</b>.</p>"}),
        suffix=".msg",
    )
    assert page.metadata == {"author": "Ada"}
    assert page.text.endswith("At **ten**.")


def test_texts_in_an_old_encoding() -> None:
    data = ole({"__properties_version1.0": bytes(32), "__substg1.0_0037001E": "Größe".encode("cp1252"),
                "__substg1.0_1000001E": b"Text"})  # fmt: skip
    assert convert(data, suffix=".msg").title == "Größe"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"From: a@b.c", "this is no Outlook message although its name says so"),
        (ole({"Workbook": b"x"}), "this is no Outlook message although its name says so"),
        (msg(STATED)[:700], "the message is damaged or cut off; replace or exclude it"),
        (
            msg({**STATED, "001A": "IPM.Note.SMIME"}),
            "the message is encrypted; save it decrypted or exclude it",
        ),
    ],
)
def test_bad_messages(data: bytes, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(data, suffix=".msg")
