import pytest
from sqlalchemy import Engine, create_engine

from knowledge.chunking import Passage
from knowledge.documents import Document
from knowledge.errors import IndexDamagedError
from knowledge.manifest import Manifest
from knowledge.versions import Failure, Publication, State, version_id


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
def manifest(any_engine: Engine) -> Manifest:
    return Manifest(any_engine)


def live(manifest: Manifest) -> set[str]:
    return {version.version for version in manifest.versions() if version.live}


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
    assert manifest.ids("docs", "g1") == {first.id, second.id}
    assert manifest.live_counts() == {"docs": (1, 2)}


def test_publishing_flips_whole_sources_and_leaves_others_alone(manifest: Manifest) -> None:
    a, b, other = stage(manifest, "a"), stage(manifest, "b"), stage(manifest, "c", source="other")
    manifest.publish(publication(docs={a}, other={other}))
    manifest.publish(publication(docs={b}))
    assert live(manifest) == {b, other}
    removal = publication()
    removal.removed_sources = {"other"}
    manifest.publish(removal)
    assert live(manifest) == {b}
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


def test_what_a_publication_took_away_comes_back_with_its_state(manifest: Manifest) -> None:
    a, b, other = stage(manifest, "a"), stage(manifest, "b"), stage(manifest, "c", source="other")
    manifest.publish(publication(docs={a}, other={other}))
    new = stage(manifest, "b", generation="g2")
    second = Publication(generation="g2", embedder="model@2", live={"docs": {new}})
    second.removed_sources = {"other"}
    manifest.publish(second)
    assert live(manifest) == {new}

    manifest.take_back()
    assert live(manifest) == {a, other}
    assert manifest.state() == State(
        3, "g1", "model@1", previous_generation="g2", previous_embedder="model@2"
    )
    manifest.take_back()
    assert live(manifest) == {new}
    state = manifest.state()
    assert (state.revision, state.generation, state.embedder) == (4, "g2", "model@2")
    kept = {version.version: version.is_kept(4) for version in manifest.versions()}
    assert kept == {a: True, b: False, other: True, new: True}


def test_failures_and_addresses_make_no_revision(manifest: Manifest) -> None:
    version = stage(manifest, "a")
    manifest.publish(publication(docs={version}))
    moved = publication(docs={version})
    moved.uris = {version: "/moved/a.md"}
    moved.failures = {"docs": [Failure("id-b", "docs", "b", "hash", 1, "broken")]}
    manifest.publish(moved)
    assert manifest.state().revision == 1
    assert "id-b" in manifest.failures()


def test_chunks_of_a_generation_are_counted_whether_live_or_not(manifest: Manifest) -> None:
    a, b, old = stage(manifest, "a"), stage(manifest, "b"), stage(manifest, "a", generation="g0", count=1)
    manifest.publish(publication(docs={a}))
    assert manifest.counts() == {("docs", "g1"): 4, ("docs", "g0"): 1}
    assert manifest.ids("docs", "g1") == {f"{a}-0", f"{a}-1", f"{b}-0", f"{b}-1"}
    assert manifest.find([f"{old}-0", f"{a}-0", "unknown"]).keys() == {f"{old}-0", f"{a}-0"}


def test_more_ids_than_a_statement_may_have(manifest: Manifest) -> None:
    version = stage(manifest, "a", count=1_200)
    manifest.publish(publication(docs={version}))
    assert len(manifest.find_live(f"{version}-{number}" for number in range(5_000))) == 1_200


def test_a_broken_database_names_the_fix() -> None:
    with pytest.raises(IndexDamagedError, match="Check its disk and permissions"):
        Manifest(create_engine("sqlite:////nonexistent/folder/x.db")).state()
