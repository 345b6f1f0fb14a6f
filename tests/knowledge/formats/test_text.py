import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.formats.converted import ConversionError
from knowledge.formats.text import convert, decode, front_matter

GERMAN = "Größe und Maß für Übernachtungen: höchstens 140 Euro. Später gelten andere Sätze.\n"
FRENCH = "L'hôtel coûte à peu près cent euros; réservez très tôt, dès février.\n"
RUSSIAN = "Командировка длится не более десяти дней, гостиница оплачивается фирмой.\n"
JAPANESE = "出張の際は、ホテルの予約を早めに行ってください。領収書は必ず保管してください。\n"
CHINESE = "出差时请尽早预订酒店。请务必保留发票，否则公司无法报销您的住宿费用。\n"
KOREAN = "출장 시에는 호텔을 미리 예약해 주세요. 영수증은 반드시 보관해야 합니다.\n"
POLISH = "Podróż służbowa: nocleg może kosztować najwyżej sześćset złotych, łącznie ze śniadaniem.\n"
GREEK = "Το ξενοδοχείο κοστίζει το πολύ εκατό ευρώ και πληρώνεται από την εταιρεία.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "utf-32-be"),
        (GERMAN, "latin-1"),
        (GERMAN + "„140 €“\n", "cp1252"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (GREEK, "cp1253"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
        (KOREAN, "euc_kr"),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("text", ["Größe: 4 m", "Café", "Der Preis beträgt 5 € pro Person", "naïve Übung"])
def test_a_few_western_letters_are_enough(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


def test_one_special_letter_in_a_long_text() -> None:
    text = "plain words\n" * 5_000 + "and one Café\n"
    assert decode(text.encode("latin-1")) == text


def test_one_bad_byte_does_not_spoil_a_text() -> None:
    data = (GERMAN * 20).encode() + b"\xff" + GERMAN.encode()
    assert decode(data) == GERMAN * 20 + "\ufffd" + GERMAN
    cut = (GERMAN * 20).encode()[: -len("ze gelten.\n")]
    assert decode(GERMAN.encode() * 5 + "ö".encode()[:1]) == GERMAN * 5 + "\ufffd"
    assert "Größe" in decode(cut)


def test_line_ends() -> None:
    assert decode(b"a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x00\x01\x02" * 50,
        bytes(range(256)) * 10,
        bytes(range(128, 256)) * 20 + b"\x00",
        bytes(range(1, 32)) * 20,
        b"\x00" * 100,
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00" * 10,
    ],
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(
        ConversionError, match="this is no text file although its name says so; replace or exclude"
    ):
        decode(data)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"])))
def test_unicode_is_always_read_as_it_is(text: str) -> None:
    assert decode(text.encode()) == text
    assert decode(codecs.BOM_UTF16_LE + text.encode("utf-16-le")) == text
    assert decode(codecs.BOM_UTF32_BE + text.encode("utf-32-be")) == text


def test_front_matter_of_yaml() -> None:
    text = (
        "---\ntitle: Per diem\nauthors: [Ada, {name: Bob}]\nkeywords: [a, 'b, c', a]\ndate: 2024-05-01\n"
        "lastmod: 2024-06-01T10:00:00Z\nnone:\nmap: {x: 1}\nweight: 3\n---\n# Rates\n"
    )
    assert front_matter(text) == (
        {
            "title": "Per diem",
            "authors": "Ada, Bob",
            "author": "Ada, Bob",
            "keywords": "a, b, c, a",
            "tags": "a, b c",
            "date": "2024-06-01T10:00:00+00:00",
            "lastmod": "2024-06-01T10:00:00+00:00",
            "weight": "3",
        },
        "# Rates\n",
    )


def test_front_matter_of_toml() -> None:
    text = '+++\ntitle = "Per diem"\ndate = 2024-05-01\ntags = ["a", "b"]\n[extra]\nx = 1\n+++\nText'
    assert front_matter(text) == ({"title": "Per diem", "date": "2024-05-01", "tags": "a, b"}, "Text")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule at the start.\n\n---\n",
        "---\nkey: [open\n---\ntext",
        "---\n- a\n---\ntext",
        "--- text",
        "---\nx: 1\n",
        "+++\nno toml\n+++\n",
        "---\nx: " + "y" * 100_000 + "\n---\ntext",
        "---\n" + "[" * 5_000 + "\n---\ntext",
    ],
)
def test_what_is_no_front_matter_stays_text(text: str) -> None:
    assert front_matter(text) == ({}, text)


def test_markdown_and_plain_text() -> None:
    page = convert(b"---\ntitle: Rates\n---\n# R\n", suffix=".md")
    assert (page.title, page.text, page.metadata) == ("Rates", "# R\n", {"title": "Rates"})
    assert convert(b"HOUSE RULES\n\nDogs\nAre welcome on Tuesdays.\n", suffix=".txt").text.startswith(
        "# HOUSE"
    )
    assert convert(b"Rules\n=====\n\nDogs", suffix=".rst").text == "Rules\n=====\n\nDogs"
