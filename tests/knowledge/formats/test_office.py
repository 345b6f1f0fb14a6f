import io
import zipfile
from datetime import UTC, date, datetime

import pytest

from knowledge.formats import old_sheets, sheets, slides, word
from knowledge.formats.converted import ConversionError
from tests.knowledge.files import docx, pptx, xlsx
from tests.knowledge.formats.making import archive, ole, xls

CHANGED = datetime(2024, 5, 1, 10, 20, tzinfo=UTC)


def with_part(data: bytes, name: str, content: str | bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        parts: dict[str, str | bytes] = {member: source.read(member) for member in source.namelist()}
    return archive({**parts, name: content})


def test_word_with_its_properties() -> None:
    core = (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">'
        "<dc:title>Travel guide</dc:title><dc:creator>Ada</dc:creator><cp:keywords>travel; hotels</cp:keywords>"
        "<dcterms:created>2023-01-01T00:00:00Z</dcterms:created>"
        "<dcterms:modified>2024-05-01T10:20:00Z</dcterms:modified></cp:coreProperties>"
    )
    page = word.convert(with_part(docx("Travel", "Book early."), "docProps/core.xml", core), suffix=".docx")
    assert page.text.strip() == "# Travel\n\nBook early."
    assert page.title == "Travel guide"
    assert page.metadata == {"author": "Ada", "date": "2024-05-01T10:20:00+00:00", "tags": "travel, hotels"}


def test_slides_with_their_properties() -> None:
    from pptx import Presentation

    presentation = Presentation(io.BytesIO(pptx(("Kick-off", "Welcome"), ("", "No title here"))))
    presentation.core_properties.author = "Ada"
    presentation.core_properties.modified = CHANGED
    presentation.slides[0].notes_slide.notes_text_frame.text = "Smile"
    buffer = io.BytesIO()
    presentation.save(buffer)
    page = slides.convert(buffer.getvalue(), suffix=".pptx")
    assert page.title == "Kick-off"
    assert page.text == "## Kick-off\n\nWelcome\n\n**Notes:**\nSmile\n\n## Slide 2\n\nNo title here"
    assert page.metadata["author"] == "Ada"
    assert page.metadata["date"] == "2024-05-01T10:20:00+00:00"


def test_a_template_says_nothing_about_what_was_made_of_it() -> None:
    assert slides.convert(pptx(("Kick-off", "Welcome")), suffix=".pptx").metadata == {}


def test_workbooks_with_their_properties() -> None:
    from openpyxl import load_workbook

    rates = xlsx(
        Rates=[["City", "Limit"], [None, None], ["Paris", 180.0], ["Rome", date(2024, 5, 1)]], Empty=[]
    )
    book = load_workbook(io.BytesIO(rates))
    book.properties.creator, book.properties.title, book.properties.keywords = "Ada", "Limits", "a, b"
    buffer = io.BytesIO()
    book.save(buffer)
    page = sheets.convert(buffer.getvalue(), suffix=".xlsx")
    assert page.text == "## Rates\n\n| City | Limit |\n| --- | --- |\n| Paris | 180 |\n| Rome | 2024-05-01 |"
    assert (page.title, page.metadata["author"], page.metadata["tags"]) == ("Limits", "Ada", "a, b")


def test_old_workbooks() -> None:
    page = old_sheets.convert(
        xls(["City", "Limit"], ["Paris", 180.0], ["Rome", date(2024, 5, 1)]), suffix=".xls"
    )
    assert page.text == "## Rates\n\n| City | Limit |\n| --- | --- |\n| Paris | 180 |\n| Rome | 2024-05-01 |"


def test_tables_that_are_only_called_xls() -> None:
    assert (
        "| Paris | 180 |"
        in old_sheets.convert(xlsx(Rates=[["City", "Limit"], ["Paris", 180]]), suffix=".xls").text
    )
    page = b"<html><table><tr><th>City</th></tr><tr><td>Paris</td></tr></table></html>"
    assert "| Paris |" in old_sheets.convert(page, suffix=".xls").text


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize("module", [word, slides, sheets, old_sheets])
def test_damaged_and_dangerous_files(module: object) -> None:
    suffix = {word: ".docx", slides: ".pptx", sheets: ".xlsx", old_sheets: ".xls"}[module]  # type: ignore[index]
    whole = docx("Travel", "Book early.")

    def refusal(data: bytes) -> str:
        with pytest.raises(ConversionError) as caught:
            module.convert(data, suffix=suffix)  # type: ignore[attr-defined]
        return str(caught.value)

    assert refusal(whole[:200]).endswith("damaged or cut off; replace or exclude it")
    assert refusal(b"no archive").endswith("damaged or cut off; replace or exclude it")
    if module is not old_sheets:
        assert "declares a document type" in refusal(with_part(whole, "word/document.xml", BOMB))
        assert "declares a document type" in refusal(with_part(whole, "a.xml", BOMB.encode("utf-16")))
    broken = bytearray(whole)
    broken[broken.index(b"word/document.xml") + 30] ^= 0xFF
    assert refusal(bytes(broken)).endswith("exclude it")
    if module is not old_sheets:
        assert "encrypted or in the format from before 2007" in refusal(ole({"EncryptedPackage": b"x"}))


def test_archives_with_a_password() -> None:
    data = bytearray(docx("Travel", "Book early."))
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    with pytest.raises(ConversionError, match="the file is encrypted; remove its password or exclude it"):
        word.convert(bytes(data), suffix=".docx")


def test_damaged_old_workbooks() -> None:
    whole = xls(["City"])
    for data in (whole[:600], ole({"EncryptedPackage": b"x"}), whole[:512] + bytes(len(whole) - 512)):
        with pytest.raises(ConversionError, match="exclude it"):
            old_sheets.convert(data, suffix=".xls")


def test_what_unpacks_to_more_than_a_document_does() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.xml", "w") as part:
        for _ in range(510):
            part.write(bytes(1_000_000))
    with pytest.raises(ConversionError, match="it unpacks to 510 MB, which no document does; exclude it"):
        word.convert(data.getvalue(), suffix=".docx")
