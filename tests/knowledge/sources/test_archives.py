import io
import json
import os
import shutil
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from knowledge.sources import FolderSource, SourceFile, unpacking
from knowledge.sources.archives import Unpacked, forget_others
from knowledge.sources.containers import entries
from knowledge.sources.opening import UnreadableError, signature
from knowledge.sources.unpacking import ArchiveError, Member, Wanted, unpack
from knowledge.workers import WorkerDiedError, Workers, WorkerTimeoutError

EVERYONE = frozenset({"everyone"})
WANTED = Wanted(frozenset({".md", ".txt", ".eml"}), frozenset({".zip", ".tar", ".mbox"}), (), 1_000_000)
LEADS_OUT = "its name leads out of the archive; pack it anew, or exclude it"


def zipped(files: Mapping[str, bytes], *, level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], *, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def mailbox(*messages: tuple[str, str]) -> bytes:
    """Messages with an id (or none) and a text."""
    parts = []
    for id_, text in messages:
        head = f"Message-ID: <{id_}>\n" if id_ else ""
        parts.append(f"From a@example.com Thu Jan  1 00:00:00 2026\n{head}Subject: Hello\n\n{text}\n\n")
    return "".join(parts).encode()


class Setting:
    """A folder with archives, and where they are unpacked."""

    def __init__(self, root: Path, data: Path) -> None:
        self.root, self.data = root, data

    def files(self, *, exclude: tuple[str, ...] = (), max_bytes: int = 1_000_000) -> list[SourceFile]:
        source = FolderSource("docs", self.root, EVERYONE, exclude=exclude)
        return list(Unpacked(source, self.data, max_bytes=max_bytes).files())

    def texts(self, *, exclude: tuple[str, ...] = ()) -> dict[str, str]:
        """By path the text, or the problem."""
        return {file.path: file.problem or file.local.read_text() for file in self.files(exclude=exclude)}


@pytest.fixture
def here(root: Path, tmp_path: Path) -> Setting:
    return Setting(root, tmp_path / "archives")


def problems(data: bytes, folder: Path, *, name: str = "a.zip", wanted: Wanted = WANTED) -> dict[str, str]:
    """By path the problem of each file; unpacked in this process."""
    return {member.path: member.problem for member in unpacked(data, folder, name=name, wanted=wanted)}


def unpacked(data: bytes, folder: Path, *, name: str = "a.zip", wanted: Wanted = WANTED) -> list[Member]:
    path = folder / name
    path.write_bytes(data)
    target = folder / "unpacked"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return unpack(SourceFile(name, str(path), path), signature(path.stat()), target, wanted)


def test_files_in_archives_are_files_of_the_source(here: Setting) -> None:
    (here.root / "a.md").write_text("plain")
    (here.root / "sub").mkdir()
    (here.root / "sub/b.zip").write_bytes(zipped({"one.md": b"one", "deep/two.txt": b"two", "c.png": b"p"}))
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tbz2", "w:bz2"), (".tar.xz", "w:xz")):
        (here.root / f"c{suffix}").write_bytes(tarred({"./in/x.md": suffix.encode()}, mode=mode))
    assert here.texts() == {
        "a.md": "plain",
        "c.tar/in/x.md": ".tar",
        "c.tar.gz/in/x.md": ".tar.gz",
        "c.tar.xz/in/x.md": ".tar.xz",
        "c.tbz2/in/x.md": ".tbz2",
        "sub/b.zip/deep/two.txt": "two",
        "sub/b.zip/one.md": "one",
    }
    file = next(file for file in here.files() if file.path == "sub/b.zip/one.md")
    assert file.uri == str(here.root / "sub/b.zip/one.md")
    assert file.local.is_relative_to(here.data)


def test_a_file_in_an_archive_on_the_web_opens_the_archive(here: Setting) -> None:
    (here.root / "a.zip").write_bytes(zipped({"in/one two.md": b"one"}))

    class Web(FolderSource):
        def files(self) -> Iterator[SourceFile]:
            for file in super().files():
                yield SourceFile(file.path, "https://example.org/a.zip", file.local, {"author": "Ada"})

    (file,) = Unpacked(Web("docs", here.root, EVERYONE), here.data, max_bytes=1000).files()
    assert file.uri == "https://example.org/a.zip#in/one%20two.md"
    assert file.metadata == {"author": "Ada"}


def test_messages_of_a_mailbox_keep_their_names_when_others_come_and_go(here: Setting) -> None:
    first, second, third = ("1@x", "one\n>From here on"), ("", "two"), ("3@x", "three")
    (here.root / "a.mbox").write_bytes(mailbox(first, second))
    before = here.texts()
    assert len(before) == 2
    assert all(path.startswith("a.mbox/") and path.endswith(".eml") for path in before)
    assert any("\nFrom here on" in text and "<1@x>" in text for text in before.values())
    (here.root / "a.mbox").write_bytes(mailbox(third, second, third))
    after = here.texts()
    assert len(after) == 2, "the same message twice is there once"
    assert len(before.keys() & after.keys()) == 1


def test_only_what_changed_is_unpacked_again(here: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    run = Workers.run

    def noting(self: Workers, function: object, *args: object, timeout_s: float) -> object:
        assert isinstance(args[0], SourceFile)
        done.append(args[0].path)
        return run(self, unpack, *args, timeout_s=timeout_s)

    monkeypatch.setattr(Workers, "run", noting)
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"a"}))
    (here.root / "b.zip").write_bytes(zipped({"b.md": b"b"}))
    (here.root / "bad.zip").write_bytes(b"PK no zip")
    first = here.files()
    assert here.files() == first
    assert done == ["a.zip", "b.zip", "bad.zip"]
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"new"}))
    os.utime(here.root / "b.zip")
    assert here.texts()["a.zip/a.md"] == "new"
    assert done[3:] == ["a.zip"]
    damaged = next(file for file in here.files() if file.path == "b.zip/b.md")
    damaged.local.unlink()
    assert here.texts()["b.zip/b.md"] == "b"
    assert done[4:] == ["b.zip"]
    damaged.local.with_name("files.json").write_text("{")
    assert here.texts()["b.zip/b.md"] == "b"


def test_a_bad_archive_is_tried_again_after_a_day(here: Setting) -> None:
    (here.root / "bad.zip").write_bytes(b"PK no zip")
    (file,) = here.files()
    assert file.path == "bad.zip"
    assert file.problem == "the archive is damaged or cut off; replace or exclude it"
    (listing,) = here.data.rglob("files.json")
    listing.write_text(json.dumps([["", "", "it was bad"]]))
    assert [file.problem for file in here.files()] == ["it was bad"]
    long_ago = time.time() - 25 * 3600
    os.utime(listing, (long_ago, long_ago))
    assert [file.problem for file in here.files()] == [file.problem]


def test_an_archive_that_changes_all_the_time_does_not_fill_the_disk(here: Setting) -> None:
    (here.root / "other.zip").write_bytes(zipped({"a.md": b"a"}))
    before: list[SourceFile] = []
    for number in range(5):
        (here.root / "a.zip").write_bytes(zipped({"a.md": b"%d" % number}))
        after = here.files()
        assert [file.local.read_bytes() for file in before] == [b"%d" % (number - 1)] * bool(before)
        before = after[:1]
    assert len(list(here.data.glob("*/*"))) == 3, "both archives, and what one of them was"
    (here.root / "a.zip").write_bytes(b"bad")
    here.files()
    assert len(list(here.data.glob("*/*"))) == 3


def test_what_another_process_is_unpacking_is_left_alone(here: Setting) -> None:
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"a"}))
    (file,) = here.files()
    others = [file.local.parent.with_name(f"new-{number}") for number in range(2)]
    for other in others:
        other.mkdir()
    here.files()
    assert all(other.exists() for other in others)


def test_what_is_not_used_any_more_is_removed_after_an_hour(here: Setting) -> None:
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"a"}))
    (file,) = here.files()
    (here.root / "a.zip").unlink()
    assert here.files() == []
    assert file.local.read_text() == "a", "somebody may still be reading it"
    long_ago = time.time() - 3700
    os.utime(file.local.parent, (long_ago, long_ago))
    assert here.files() == []
    assert not file.local.parent.exists()


def test_what_belongs_to_sources_that_are_gone_is_removed_at_once(here: Setting) -> None:
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"a"}))
    (file,) = here.files()
    forget_others(here.data, {"docs", "more"})
    assert file.local.exists()
    (here.data / "mine").mkdir()
    forget_others(here.data, {"more"})
    assert [path.name for path in here.data.iterdir()] == ["mine"]


def test_excluded_and_hidden_files_are_left_in_the_archive(here: Setting) -> None:
    names = ("a.md", "drafts/b.md", ".git/c.md", "__MACOSX/a.md", "package-lock.json", "deep/.d.md")
    (here.root / "a.zip").write_bytes(zipped(dict.fromkeys(names, b"x")))
    assert here.texts() == {"a.zip/a.md": "x", "a.zip/drafts/b.md": "x"}
    assert here.texts(exclude=("**/drafts/*",)) == {"a.zip/a.md": "x"}
    assert here.texts(exclude=("a.zip",)) == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../evil.md", "../evil.md"),
        ("a/../../evil.md", "a/../../evil.md"),
        ("/etc/evil.md", "etc/evil.md"),
        ("..\\evil.md", "../evil.md"),
        ("C:\\Users\\evil.md", "C:/Users/evil.md"),
        ("c:evil.md", "c:evil.md"),
        ("\\\\server\\share\\evil.md", "server/share/evil.md"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_are_reported(tmp_path: Path, name: str, shown: str, pack: object) -> None:
    assert callable(pack)
    suffix = "zip" if pack is zipped else "tar"
    found = problems(pack({name: b"x", "good.md": b"x"}), tmp_path, name=f"a.{suffix}")
    assert found == {shown: LEADS_OUT, "good.md": ""}
    assert not list(tmp_path.rglob("evil*"))


def test_slashes_of_windows_are_understood(tmp_path: Path) -> None:
    assert problems(zipped({"travel\\rates.md": b"x"}), tmp_path) == {"travel/rates.md": ""}


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    data = zipped({"caf#.md": b"x"}).replace(b"caf#", b"caf\xe9")
    (path,) = problems(data, tmp_path)
    assert path.encode()
    data = zipped({"gr##n.md": b"x"}).replace(b"gr##n", "grün".encode())
    assert list(problems(data, tmp_path)) == ["grün.md"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("café.md"))
    assert list(problems(buffer.getvalue(), tmp_path, name="a.tar")) == ["caf\\xe9.md"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, target in (("out.md", "../../etc/passwd"), ("abs.md", "/etc/passwd"), ("in.md", "good.md")):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
        archive.writestr("good.md", "x")
    sentence = "the link leads out of the archive and is not followed; exclude it"
    assert problems(buffer.getvalue(), tmp_path) == {"out.md": sentence, "abs.md": sentence, "good.md": ""}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (("l.md", tarfile.SYMTYPE), ("h.md", tarfile.LNKTYPE), ("p.md", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    found = problems(buffer.getvalue(), tmp_path, name="a.tar")
    assert found == {"l.md": sentence, "p.md": "this is no file; exclude it"}


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_HARMLESS", 5_000_000)
    many = zipped({f"{number}.txt": bytes(900_000) for number in range(20)})
    with pytest.raises(
        ArchiveError, match="it unpacks to more than 5 MB, the limit for an archive of its size"
    ):
        unpacked(many, tmp_path)
    assert sum(file.stat().st_size for file in (tmp_path / "unpacked").iterdir()) <= 5_000_000
    with pytest.raises(ArchiveError, match="it unpacks to more than 5 MB"):
        unpacked(
            tarred({"skipped.bin": bytes(20_000_000), "a.md": b"x"}, mode="w:gz"), tmp_path, name="a.tar"
        )
    nested = zipped({f"{number}.zip": many for number in range(3)})
    with pytest.raises(ArchiveError, match="it unpacks to more than 5 MB"):
        unpacked(zipped({"in.zip": nested}), tmp_path)
    one = problems(zipped({"one.txt": bytes(50_000_000), "skipped.bin": bytes(50_000_000)}), tmp_path)
    assert one == {
        "one.txt": "the file has 50 MB, the limit is 1 MB; split it or exclude it, or raise knowledge.max_file_mb"
    }


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_may_be_as_large_as_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(unpacking, "_HARMLESS", 5_000_000)
    monkeypatch.setattr(unpacking, "_MOST_TIMES", 1)
    files = {f"{number}.txt": bytes(900_000) for number in range(5)}
    assert set(problems(tarred(files, mode=mode), tmp_path, name="a.tar").values()) == {""}


def test_holes_in_a_tar_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_HARMLESS", 5_000_000)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(9):
            info = tarfile.TarInfo(f"{number}.txt")
            info.pax_headers = {
                "GNU.sparse.major": "0",
                "GNU.sparse.minor": "1",
                "GNU.sparse.size": "900000",
                "GNU.sparse.map": "0,0,900000,0",
            }
            archive.addfile(info)
    with pytest.raises(ArchiveError, match="it unpacks to more than 5 MB"):
        unpacked(buffer.getvalue(), tmp_path, name="a.tar")


def test_an_archive_that_understates_its_files(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": bytes(900_000)}))
    size = (900_000).to_bytes(4, "little")
    while size in data:
        at = data.index(size)
        data[at : at + 4] = (10).to_bytes(4, "little")
    assert problems(bytes(data), tmp_path) == {
        "a.txt": "it is damaged, or packed in a way that is not known; pack it anew, or exclude it"
    }


def test_archives_in_archives_have_an_end(tmp_path: Path) -> None:
    data = zipped({"deepest.md": b"x"})
    for depth in range(5, 0, -1):
        data = zipped({f"{depth}.zip": data, f"{depth}.md": b"x"})
    assert problems(data, tmp_path) == {
        "1.md": "",
        "1.zip/2.md": "",
        "1.zip/2.zip/3.md": "",
        "1.zip/2.zip/3.zip": "archives are unpacked 3 deep; unpack or exclude it",
    }


def test_a_bad_archive_in_a_good_one_costs_that_one(tmp_path: Path) -> None:
    whole = tarred({"a.md": b"x" * 2000, "b.md": b"x" * 2000})
    found = problems(zipped({"bad.zip": b"none", "cut.tar": whole[:3000], "good.md": b"x"}), tmp_path)
    damaged = "the archive is damaged or cut off; replace or exclude it"
    assert "it is damaged" in found.pop("cut.tar/b.md", "it is damaged")
    assert found == {"bad.zip": damaged, "cut.tar/a.md": "", "cut.tar": damaged, "good.md": ""}


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_MOST_FILES", 5)
    with pytest.raises(ArchiveError, match="it holds more than 5 files; split it"):
        unpacked(zipped({f"{number}.md": b"x" for number in range(6)}), tmp_path)
    assert (
        len(problems(zipped({f"{number}.png": b"x" for number in range(9)} | {"a.md": b"x"}), tmp_path)) == 1
    )


def test_encrypted_files(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.md": b"x", "b.md": b"x"}))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    assert problems(bytes(data), tmp_path) == {
        "a.md": "it is encrypted; pack it without a password, or exclude it",
        "b.md": "",
    }


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.mbox"])
@pytest.mark.parametrize(
    "data", [b"x", b"\0" * 5000, b"PK\x03\x04" + b"x" * 900, b"\x1f\x8b\x08" + b"x" * 900]
)
def test_rubbish(tmp_path: Path, name: str, data: bytes) -> None:
    found = problems(data, tmp_path, name=name)
    assert found in ({"": "the archive is damaged or cut off; replace or exclude it"}, {})
    assert found or (name == "a.tar" and not data.strip(b"\0")), "a tar of zeros is an empty one"


def test_a_truncated_archive_gives_what_can_be_read(tmp_path: Path) -> None:
    whole = tarred({f"{number}.md": os.urandom(2000) for number in range(9)}, mode="w:gz")
    found = problems(whole[: len(whole) // 2], tmp_path, name="a.tar")
    assert found["0.md"] == ""
    assert found[""] == "the archive is damaged or cut off; replace or exclude it"


def test_an_archive_that_changes_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a.md": b"x"}))
    (tmp_path / "u").mkdir()
    before = signature(path.stat())
    path.write_bytes(zipped({"a.md": b"xyz"}))
    with pytest.raises(UnreadableError, match="changes while it is unpacked"):
        unpack(SourceFile("a.zip", "", path), before, tmp_path / "u", WANTED)


def test_large_and_empty_archives_are_not_unpacked(here: Setting) -> None:
    with (here.root / "a.zip").open("wb") as file:
        file.truncate(2**31)
    (here.root / "b.mbox").touch()
    assert here.texts() == {
        "a.zip": "the archive has 2,147 MB, the limit is 1,000 MB; split it or exclude it",
        "b.mbox": "the archive is empty (0 bytes); fill or exclude it",
    }


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (WorkerTimeoutError(), "it could not be unpacked within 600 s; split or exclude it"),
        (WorkerDiedError(-9), "unpacking it crashed; replace or exclude it"),
        (MemoryError(), "unpacking it takes too much memory; unpack or exclude it"),
    ],
)
def test_a_worker_that_fails_costs_one_archive(
    here: Setting, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    run = Workers.run

    def fail(self: Workers, function: object, *args: object, timeout_s: float) -> object:
        assert isinstance(args[0], SourceFile)
        if args[0].path == "bad.zip":
            raise error
        return run(self, unpack, *args, timeout_s=timeout_s)

    (here.root / "bad.zip").write_bytes(zipped({"a.md": b"bad"}))
    (here.root / "good.zip").write_bytes(zipped({"a.md": b"good"}))
    monkeypatch.setattr(Workers, "run", fail)
    assert here.texts() == {"bad.zip": sentence, "good.zip/a.md": "good"}


def test_no_room_for_unpacking_is_said(here: Setting) -> None:
    (here.root / "a.zip").write_bytes(zipped({"a.md": b"a"}))
    (here.root / "b.md").write_text("b")
    here.data.write_text("in the way")
    found = here.texts()
    assert found["b.md"] == "b"
    assert found["a.zip"].startswith("it cannot be unpacked into the data folder (")


def test_a_mailbox_line_by_line() -> None:
    stream = io.BytesIO(mailbox(("1@x", "one\n\nFrom me to you\n"), ("2@x", "two")))
    found = list(entries(stream, name="a.mbox", spend=lambda _: None, most=1000))
    assert len(found) == 3, "a line that begins with 'From ' after an empty one begins a message"
    long = io.BytesIO(mailbox(("1@x", "x" * 5000)))
    (entry,) = entries(long, name="a.mbox", spend=lambda _: None, most=1000)
    assert entry.size > 5000
