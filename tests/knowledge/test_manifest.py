from datetime import date

import pytest
from sqlalchemy import Engine, create_engine

from knowledge.chunking import Passage
from knowledge.documents import Document
from knowledge.errors import IndexDamagedError
from knowledge.filters import Filter
from knowledge.manifest import Manifest
from knowledge.versions import Failure, Publication, State, version_id


def stage(
    manifest: Manifest,
    name: str,
    *,
    id_: str = "",
    source: str = "docs",
    count: int = 2,
    generation: str = "g1",
) -> str:
    place = id_ or name
    document = Document(f"id-{place}", source, f"Title {name}", f"/{place}.md", "text", {"a": "b"})
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
    assert manifest.live_keys() == {}
    staged = manifest.chunks_of([version])
    assert [chunk.text for chunk in staged] == ["a 0", "a 1"]
    assert manifest.find_keys([chunk.key for chunk in staged], sources={"docs"}) == {}

    manifest.publish(publication(docs={version}))
    assert manifest.state() == State(revision=1, generation="g1", embedder="model@1", unfinished=False)
    first, second = manifest.live_chunks()
    assert (first.id, first.uri, first.title, first.source) == (f"{version}-0", "/a.md", "Title a", "docs")
    assert (second.uri, second.heading, second.position, second.document_id) == ("/a.md#a1", "H", 1, "id-a")
    assert manifest.find_keys([first.key, "unknown"], sources={"docs"}) == {first.key: [first]}
    assert manifest.find_keys([first.key], sources={"other"}) == {}
    assert manifest.keys("docs", "g1") == {first.key, second.key}
    assert manifest.live_keys() == {"docs": {first.key, second.key}}
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
    assert manifest.version_keys([a, b]) == {a: {chunk.key for chunk in manifest.chunks_of([a])}}
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


def test_keys_of_a_generation_are_known_whether_live_or_not(manifest: Manifest) -> None:
    a, b, old = stage(manifest, "a"), stage(manifest, "b"), stage(manifest, "a", generation="g0", count=1)
    manifest.publish(publication(docs={a}))
    assert manifest.key_counts() == {("docs", "g1"): 4, ("docs", "g0"): 1}
    keys = {chunk.key: chunk.contextual_text for chunk in manifest.chunks_of([a, b])}
    assert manifest.keys("docs", "g1") == keys.keys()
    assert manifest.texts([*keys, "unknown"], source="docs", generation="g1") == keys
    assert manifest.texts(keys, source="other", generation="g1") == {}
    (first,) = manifest.chunks_of([old])
    assert manifest.holders([first.key], "g0") == {first.key: {"docs"}}


def test_a_text_that_stands_in_many_places_is_found_once_with_all_of_them(manifest: Manifest) -> None:
    versions = {
        name: stage(manifest, "a", id_=name, source=source, count=1)
        for name, source in (("z", "docs"), ("b", "docs"), ("y", "other"), ("secret", "board"))
    }
    manifest.publish(
        publication(docs={versions["z"], versions["b"]}, other={versions["y"]}, board={versions["secret"]})
    )
    (key,) = manifest.keys("docs", "g1")
    assert manifest.key_counts()[("docs", "g1")] == 1
    assert manifest.holders([key], "g1") == {key: {"docs", "other", "board"}}
    found = manifest.find_keys([key], sources={"docs", "other"})
    assert [chunk.uri for chunk in found[key]] == ["/b.md", "/y.md", "/z.md"]
    some = manifest.find_keys([key], sources={"docs", "other"}, versions={versions["z"], versions["secret"]})
    assert [chunk.uri for chunk in some[key]] == ["/z.md"]


def crowd(manifest: Manifest) -> tuple[str, set[str]]:
    """The key of one text in three hundred documents of two days, and the versions that are live."""
    versions: dict[int, str] = {}
    for n in range(300):
        metadata = {"date": "2026-01-02T10:00" if n < 299 else "2026-03-04", "author": f"author {n}"}
        document = Document(f"id-{n}", "docs", "Title", f"/{n:03}.md", "text", metadata)
        passages = [Passage(0, "", "", "footer")]
        manifest.stage(document, passages, path=f"{n}.md", content_hash="hash", generation="g1")
        versions[n] = version_id(document.id, "hash", "g1")
    live = {version for n, version in versions.items() if n >= 20}
    manifest.publish(publication(docs=live))
    (key,) = manifest.keys("docs", "g1")
    return key, live


def test_of_a_text_that_stands_everywhere_some_places_are_found(manifest: Manifest) -> None:
    key, live = crowd(manifest)
    other = stage(manifest, "other", source="other", count=1)
    manifest.publish(publication(docs=live, other={other}))
    (rare,) = manifest.keys("other", "g1")
    found = manifest.find_keys([key, rare], sources={"docs", "other"})
    assert [chunk.uri for chunk in found[key]] == [*(f"/{n:03}.md" for n in range(20, 70)), "/299.md"]
    assert [chunk.uri for chunk in found[rare]] == ["/other.md"]
    assert manifest.find_keys([key], sources={"other"}) == {}


def test_of_a_text_that_stands_everywhere_what_a_filter_admits_is_found(manifest: Manifest) -> None:
    key, _ = crowd(manifest)
    march = Filter(after=date(2026, 3, 1))
    (found,) = manifest.find_keys([key], sources={"docs"}).values()
    assert [chunk.uri for chunk in found if march.admits(chunk)] == ["/299.md"]


def test_places_among_given_versions_are_those_that_count(manifest: Manifest) -> None:
    key, live = crowd(manifest)
    dead = {version.version for version in manifest.versions()} - live
    (found,) = manifest.find_keys([key], sources={"docs"}, versions=dead).values()
    assert [chunk.uri for chunk in found] == [f"/{n:03}.md" for n in range(20)]


def test_more_keys_than_a_statement_may_have(manifest: Manifest) -> None:
    version = stage(manifest, "a", count=1_200)
    manifest.publish(publication(docs={version}))
    keys = [*manifest.keys("docs", "g1"), *map(str, range(5_000))]
    assert len(manifest.find_keys(keys, sources={"docs"})) == 1_200


def test_a_broken_database_names_the_fix() -> None:
    with pytest.raises(IndexDamagedError, match="Check its disk and permissions"):
        Manifest(create_engine("sqlite:////nonexistent/folder/x.db")).state()
