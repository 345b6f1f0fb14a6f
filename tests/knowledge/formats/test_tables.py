import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.tables import convert


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(delimiter: str) -> None:
    data = f'City{delimiter}Limit\n"Paris, Texas"{delimiter}180\n\nRome\n'.encode()
    text = "| City | Limit |\n| --- | --- |\n| Paris, Texas | 180 |\n| Rome |  |"
    assert convert(data, suffix=".csv").text == text


def test_tabs_and_old_encodings() -> None:
    text = "Stadt,Land\tHöchstens, in €\nMünchen, Bayern\t140\n"
    rows = convert(text.encode("cp1252"), suffix=".tsv").text.split("\n")
    assert rows[0] == "| Stadt,Land | Höchstens, in € |"
    assert rows[2] == "| München, Bayern | 140 |"


def test_long_cells() -> None:
    cell = "word " * 60_000
    text = convert(f'name,text\nBonn,"{cell}"\nParis,x\n'.encode(), suffix=".csv").text
    assert text.split("\n")[2:] == [f"| Bonn | {cell.strip()} |", "| Paris | x |"]


def test_damaged_files() -> None:
    with pytest.raises(ConversionError, match=r"the file is no valid CSV .*; repair or exclude it"):
        convert(b'a,b\n"' + b"x" * 200_000, suffix=".csv")
    with pytest.raises(ConversionError, match="this is no text file"):
        convert(b"\x00\x01" * 100, suffix=".csv")
