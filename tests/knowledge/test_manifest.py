import pytest
from sqlalchemy import Engine, create_engine

from knowledge.chunking import Passage
from knowledge.documents import Document
from knowledge.errors import IndexDamagedError
from knowledge.manifest import Failure, Manifest, Publication, State, version_id


def stage(
    manifest: Manifest, name: str, *, source: str = "docs", count: int = 2, generation: str = "g1"
) -> str:
    document = Document(f"id-{name}", source, f"Title {name}", f"/{name}.md", "text", {"a": "b"})
    passages = [Passage(n, "H", f"a{n}" if n else "", f"{name} {n}") for n in range(count)]
    manifest.stage(document, passages, path=f"{name}.md", content_hash=f"hash-{name}", generation=generation)
    return version_id(document.id, f"hash-{name}", generation)


def publication(**live: set[str]) -> Publication:
    return Publication(generation="g1", embedder="model@1", live=dict(live))


@pytest.fixture
def manifest(engine: Engine) -> Manifest:
    return Manifest(engine)


def test_an_empty_index(manifest: Manifest) -> None:
    assert manifest.state() == State(revision=0, generation="", embedder="", unfinished=False)
    assert manifest.versions() == []
    assert manifest.live_chunks() == []


def test_staged_versions_are_invisible_until_published(manifest: Manifest) -> None:
    version = stage(manifest, "a")
    assert manifest.live_chunks() == []
    assert manifest.find_live([f"{version}-0"]) == {}
    assert [chunk.text for chunk in manifest.chunks_of([version])] == ["a 0", "a 1"]

    manifest.publish(publication(docs={version}))
    assert manifest.state() == State(revision=1, generation="g1", embedder="model@1", unfinished=False)
    first, second = manifest.live_chunks()
    assert (first.id, first.uri, first.title, first.source) == (f"{version}-0", "/a.md", "Title a", "docs")
    assert (second.uri, second.heading, second.position, second.document_id) == ("/a.md#a1", "H", 1, "id-a")
    assert manifest.find_live([first.id, "unknown"]) == {first.id: first}
    assert manifest.live_ids("docs") == {first.id, second.id}
    assert manifest.live_counts() == {"docs": (1, 2)}


def test_publishing_flips_whole_sources_and_leaves_others_alone(manifest: Manifest) -> None:
    a, b, other = stage(manifest, "a"), stage(manifest, "b"), stage(manifest, "c", source="other")
    manifest.publish(publication(docs={a}, other={other}))
    manifest.publish(publication(docs={b}))
    assert {version.version for version in manifest.versions() if version.live} == {b, other}
    removal = publication()
    removal.removed_sources = {"other"}
    manifest.publish(removal)
    assert {version.version for version in manifest.versions() if version.live} == {b}
    assert manifest.state().revision == 3


def test_a_moved_folder_changes_uris_only(manifest: Manifest) -> None:
    version = stage(manifest, "a")
    moved = publication(docs={version})
    moved.uris = {version: "/moved/a.md"}
    manifest.publish(moved)
    assert [chunk.uri for chunk in manifest.live_chunks()] == ["/moved/a.md", "/moved/a.md#a1"]


def test_deleting_versions_takes_their_chunks(manifest: Manifest) -> None:
    a, b = stage(manifest, "a"), stage(manifest, "b", count=0)
    assert manifest.chunk_ids([a, b]) == {a: [f"{a}-0", f"{a}-1"]}
    manifest.delete_versions([a, b])
    assert manifest.versions() == []
    assert manifest.chunks_of([a]) == []


def test_failures_are_replaced_for_each_source(manifest: Manifest) -> None:
    def failure(name: str, source: str) -> Failure:
        return Failure(f"id-{name}", source, name, "hash", 1, "broken")

    first = publication()
    first.failures = {"docs": [failure("a", "docs")], "other": [failure("b", "other")]}
    manifest.publish(first)
    second = publication()
    second.failures = {"docs": []}
    manifest.publish(second)
    assert manifest.failures() == {"id-b": failure("b", "other")}


def test_unfinished_syncs_are_remembered(manifest: Manifest) -> None:
    manifest.begin()
    assert manifest.state().unfinished
    manifest.publish(publication())
    assert manifest.state().unfinished
    manifest.end()
    assert manifest.state() == State(revision=1, generation="g1", embedder="model@1", unfinished=False)


def test_more_ids_than_a_statement_may_have(manifest: Manifest) -> None:
    version = stage(manifest, "a", count=1_200)
    manifest.publish(publication(docs={version}))
    assert len(manifest.find_live(f"{version}-{number}" for number in range(5_000))) == 1_200


def test_a_broken_database_names_the_fix() -> None:
    with pytest.raises(IndexDamagedError, match="Check its disk and permissions"):
        Manifest(create_engine("sqlite:////nonexistent/folder/x.db")).state()
