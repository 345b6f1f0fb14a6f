"""What Parley did, as text for people and as JSON for programs. The JSON is a stable interface."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.messages import Final
from knowledge.documents import Hit

if TYPE_CHECKING:
    from knowledge.planning import SyncReport


def answer_json(final: Final) -> dict[str, object]:
    """One answer, as `ask --json` prints it."""
    return {
        "answer": final.answer,
        "mode": final.mode,
        "sources": [
            {
                "n": source.n,
                "title": source.title,
                "heading": source.heading,
                "uri": source.uri,
                "score": source.score,
                "text": source.text,
            }
            for source in final.sources
        ],
        "turn_id": final.turn_id,
        "timings_ms": {
            "retrieve": final.retrieve_ms,
            "first_text": final.first_text_ms,
            "total": final.total_ms,
        },
        "model": final.model_id or None,
        "note": final.note,
    }


def hit_json(hit: Hit) -> dict[str, object]:
    """One passage, as `search --json` prints it."""
    chunk = hit.chunk
    return {
        "document": chunk.title,
        "heading": chunk.heading,
        "uri": chunk.uri,
        "also": other_places(hit),
        "score": round(hit.score, 4),
        "text": chunk.text,
    }


def other_places(hit: Hit) -> list[str]:
    """Where else its text stands, as it was indexed once."""
    uris = dict.fromkeys(copy.uri for copy in hit.copies)
    return [uri for uri in uris if uri != hit.chunk.uri]


def sync_json(report: "SyncReport") -> dict[str, object]:
    """What a reindex did, as `reindex --json` prints it; counts are files, except `chunks` and `embedded`."""
    return {
        "sources": [
            {
                "name": source.name,
                "added": source.added,
                "changed": source.changed,
                "deleted": source.deleted,
                "unchanged": source.unchanged,
                "chunks": source.chunks,
                "failures": [{"path": path, "reason": reason} for path, reason in source.failed],
                "error": source.error or None,
                "note": source.note or None,
                "to_load": source.to_load,
                "expected_seconds": source.expected_seconds,
                "seconds": round(source.seconds, 2),
            }
            for source in report.sources
        ],
        "removed_sources": report.removed_sources,
        "rebuilt": report.rebuilt,
        "dry_run": report.dry_run,
        "embedded": report.embedded,
        "seconds": round(report.seconds, 2),
    }


def sync_lines(report: "SyncReport") -> Iterator[str]:
    """What a reindex did, a line for each source and each file that failed."""
    verb = "would be " if report.dry_run else ""
    for source in report.sources:
        if source.error:
            yield f"{source.name}: {source.error}"
            continue
        counts = (
            (source.added, f"{verb}added"),
            (source.changed, f"{verb}changed"),
            (source.deleted, f"{verb}removed"),
            (source.unchanged, "unchanged"),
        )
        done = ", ".join(f"{count} {what}" for count, what in counts if count) or "no documents"
        yield f"{source.name}: {done}; {source.chunks} passages"
        if source.note:
            yield f"  {source.note}"
        for path, reason in source.failed:
            yield f"  not read: {reason if reason.startswith(path) else f'{path}: {reason}'}"
    for name in report.removed_sources:
        yield f"{name}: no longer a source, {verb}removed"
    if report.rebuilt:
        yield "Everything was read anew, because the embedding model or the way of cutting documents changed."
    if not report.dry_run:
        yield f"Done in {report.seconds:.1f} s, {report.embedded} passages embedded."
