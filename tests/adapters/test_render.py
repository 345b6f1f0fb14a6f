"""Sources as every platform shows them."""

from adapters.render import SourceLine, plain_source, source_lines
from feedback.records import SourceRecord


def source(n: int, title: str, heading: str = "", *, uri: str) -> SourceRecord:
    return SourceRecord(n=n, chunk_id=f"c{n}", title=title, heading=heading, uri=uri, score=1.0, text="text")


def test_a_source_in_one_plain_line() -> None:
    assert plain_source(source(1, "Travel", "Hotels", uri="/docs/travel.md#hotels")) == (
        "[1] Travel › Hotels · /docs/travel.md#hotels"
    )
    assert plain_source(source(2, "Travel", uri="/docs/travel.md")) == "[2] Travel · /docs/travel.md"


def test_passages_of_one_document_share_a_line() -> None:
    found = source_lines(
        [
            source(1, "Travel", "Hotels", uri="https://wiki.example/travel#hotels"),
            source(2, "IT", "VPN", uri="https://wiki.example/it#vpn"),
            source(3, "Travel", "Meals", uri="https://wiki.example/travel#meals"),
            source(4, "Travel", "Hotels", uri="https://wiki.example/travel#hotels"),
        ]
    )
    assert [(line.marks, line.label, line.url) for line in found] == [
        ("[1][3][4]", "Travel › Hotels, Meals", "https://wiki.example/travel"),
        ("[2]", "IT › VPN", "https://wiki.example/it#vpn"),
    ]


def test_a_file_has_a_name_and_no_link() -> None:
    assert source_lines([source(1, "Travel\npolicy", uri="/srv/docs/travel%20policy.md#a")]) == [
        SourceLine(numbers=(1,), label="Travel policy", url="", name="travel policy.md")
    ]


def test_an_address_that_nobody_should_follow_is_no_link() -> None:
    addresses = ("javascript:alert(1)", "https://me:secret@git.example/x", "file:///etc/x", "smb://host/x")
    assert [line.url for line in source_lines([source(1, "T", uri=uri) for uri in addresses])] == [""] * 4


def test_a_document_without_a_title_goes_by_its_name() -> None:
    (line,) = source_lines([source(1, "", uri="https://wiki.example/files/plan.pdf")])
    assert line.label == "plan.pdf"


def test_same_titles_are_not_the_same_document() -> None:
    found = source_lines([source(1, "Readme", uri="a/README.md"), source(2, "Readme", uri="b/README.md")])
    assert [line.marks for line in found] == ["[1]", "[2]"]
