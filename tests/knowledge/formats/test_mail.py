from email.message import EmailMessage

import pytest

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.mail import convert
from knowledge.markdown import headings, outline
from tests.knowledge.files import docx


def message(text: str = "The bus leaves at nine.", **headers: str) -> EmailMessage:
    mail = EmailMessage()
    stated = {"From": "Ada Löve <ada@example.org>", "To": "team@example.org", "Subject": "Bus to Bonn"}
    for name, value in {**stated, "Date": "Wed, 01 May 2024 10:20:30 +0200", **headers}.items():
        mail[name] = value
    mail.set_content(text)
    return mail


def read(mail: EmailMessage) -> Converted:
    return convert(mail.as_bytes(), suffix=".eml")


def test_a_message() -> None:
    page = read(message(Cc="Bob <bob@example.org>"))
    assert page.title == "Bus to Bonn"
    assert page.metadata == {
        "author": "Ada Löve <ada@example.org>",
        "date": "2024-05-01T10:20:30+02:00",
        "to": "team@example.org",
        "cc": "Bob <bob@example.org>",
    }
    assert page.text == (
        "# Bus to Bonn\n\n**From:** Ada Löve <ada@example.org>  \n**To:** team@example.org  \n"
        "**Cc:** Bob <bob@example.org>  \n**Date:** 2024-05-01T10:20:30+02:00\n\nThe bus leaves at nine."
    )


def test_the_plain_part_is_preferred_and_the_other_converted() -> None:
    both = message()
    both.add_alternative("<p>The <b>other</b> part</p>", subtype="html")
    assert "other" not in read(both).text
    only = message()
    only.set_content("<html><body><h2>Bus</h2><p>Leaves at <b>ten</b>.</p></body></html>", subtype="html")
    assert read(only).text.endswith("## Bus\n\nLeaves at **ten**.")


def test_quotes_stay_and_are_marked() -> None:
    page = read(message("Yes.\n\nOn Monday Bob wrote:\n> When does it\n> leave?\nSee you\n"))
    assert page.text.endswith("Yes.\n\nOn Monday Bob wrote:\n> When does it\n> leave?\n\nSee you")
    page = read(message("Yes.\n\n-----Original Message-----\nFrom: Bob\n\nWhen?\n"))
    assert page.text.endswith("Yes.\n\n> -----Original Message-----\n> From: Bob\n>\n> When?")


def test_a_text_makes_no_headings() -> None:
    page = read(message("Ada\n-- \nFirm Ltd.\n# 1 in its class\nand so on\n======\nend"))
    assert [found.text for found in headings(page.text)] == ["Bus to Bonn"]
    assert "Firm Ltd." in page.text


def test_attachments_are_read_or_listed() -> None:
    mail = message()
    mail.add_attachment(
        docx("Rates", "At most 140 euros."), maintype="application", subtype="x", filename="rates.docx"
    )
    mail.add_attachment(b"\x00" * 2_000, maintype="image", subtype="png", filename="map.png")
    mail.add_attachment(b"%PDF-no", maintype="application", subtype="pdf", filename="bad.pdf")
    mail.add_attachment(message("Inner text", Subject="Inner"))
    page = read(mail)
    assert [(found.level, found.text) for found in headings(page.text)] == [
        (1, "Bus to Bonn"),
        (2, "Attachment rates.docx"),
        (3, "Rates"),
        (2, "Attachment map.png"),
        (2, "Attachment bad.pdf"),
        (2, "Attachment message.eml"),
        (3, "Inner"),
    ]
    assert "At most 140 euros." in page.text
    assert "(2,000 bytes)" in page.text
    assert "(7 bytes): the PDF is damaged or cut off; replace or exclude it" in page.text
    assert "Inner text" in page.text


def test_messages_within_messages_end() -> None:
    mail = message("the innermost")
    for _ in range(10):
        outer = message("outer")
        outer.add_attachment(mail)
        mail = outer
    page = read(mail)
    assert page.text.count("Attachment message.eml") == 4
    assert "the innermost" not in page.text


@pytest.mark.parametrize(
    ("charset", "text"),
    [("iso-8859-1", "Größe"), ("utf-8", "Größe"), ("shift_jis", "出張"), ("x-unknown", "Größe")],
)
def test_encodings(charset: str, text: str) -> None:
    encoding = "utf-8" if charset == "x-unknown" else charset
    raw = (
        b"From: a@b.c\nContent-Type: text/plain; charset="
        + charset.encode()
        + b"\n\n"
        + text.encode(encoding)
    )
    assert convert(raw, suffix=".eml").text.endswith(text)


def test_odd_headers_cost_only_themselves() -> None:
    raw = b"From: =?x?q?\xff?= <a@\nSubject: =?utf-8?b?R3LDtsOfZQ==?=\nDate: soon\nTo: <<>>;;,\n\nText"
    page = convert(raw, suffix=".eml")
    assert page.title == "Größe"
    assert "date" not in page.metadata
    assert page.text.endswith("Text")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"just text\n\nwithout a header", "this is no e-mail although its name says so"),
        (b"\x00\x01\x02" * 100, "this is no e-mail although its name says so"),
        (
            b"From: a@b.c\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB",
            "the message is encrypted; save it decrypted or exclude it",
        ),
        (
            b'From: a@b.c\nContent-Type: multipart/encrypted; boundary="x"\n\n--x\n\n--x--',
            "the message is encrypted; save it decrypted or exclude it",
        ),
    ],
)
def test_bad_messages(raw: bytes, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(raw, suffix=".eml")


def test_quotes_are_quotes_in_markdown() -> None:
    page = read(message("> quoted\nanswer"))
    assert [block.kind for block in outline(page.text)[1]][-2:] == ["quote", "paragraph"]
