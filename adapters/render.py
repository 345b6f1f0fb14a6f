"""Text that every platform shows alike: a source in one line."""

from feedback.records import SourceRecord


def plain_source(source: SourceRecord) -> str:
    """A source in one line without markup: `[1] Travel policy › Hotels · path/travel.md#hotels`."""
    place = f"{source.title} › {source.heading}" if source.heading else source.title
    return f"[{source.n}] {place} · {source.uri}"
