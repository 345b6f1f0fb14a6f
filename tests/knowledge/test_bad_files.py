"""Every bad file at once, through the real index: each is reported by its name, and the rest is found."""

import io
import os
import signal
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from knowledge import loaders
from knowledge.conversion import Converted
from knowledge.documents import Document
from knowledge.index import Index
from knowledge.loaders import Loader, readable
from knowledge.planning import SyncReport
from knowledge.sources import FolderSource, SourceFile, opening
from tests.knowledge.files import docx, pdf, pptx, xlsx
from tests.knowledge.privileges import as_somebody_else, folder_for_everybody
from tests.knowledge.setting import EVERYONE, SETTINGS, Setting

BILLION_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)
WHOLE_PDF = pdf(*["Some text"] * 20)

REASONS = {
    "truncated.pdf": "the PDF is damaged or cut off",
    "encrypted.pdf": "the file is encrypted; remove its password",
    "bomb.zip": "it unpacks to more than 100 MB, the limit for an archive of its size; unpack or exclude it",
    "single.zip/zeros.txt": "the file has 60 MB, the limit is 50 MB; split it or exclude it, or raise",
    "nested.zip/1.zip/2.zip/3.zip": "archives are unpacked 3 deep; unpack or exclude it",
    "bomb.docx": "its parser ran out of memory; split or exclude the file",
    "bomb.xlsx": "",
    "bomb.pptx": "",
    "laughs.xml": "it declares XML entities, which can expand without end",
    "laughs.docx": "its XML declares a document type, which no Office program writes",
    "huge.md": "the file has 2,147 MB, the limit is 50 MB; split it or exclude it, or raise knowledge.max_file_mb",
    "loop.md": "the link leads nowhere, or in a circle; correct or exclude it",
    "out.md": "the link leads out of the source's folder and is not followed",
    "outside": "the link leads out of the source's folder and is not followed",
    "escape.zip/../evil.md": "its name leads out of the archive; pack it anew, or exclude it",
    "escape.zip/etc/evil.md": "its name leads out of the archive; pack it anew, or exclude it",
    "escape.zip/C:/evil.md": "its name leads out of the archive; pack it anew, or exclude it",
    "private.md": "the file cannot be read (permission denied); check its permissions",
    "locked": "the folder cannot be listed (permission denied); check its permissions",
    "growing.md": "the file changes while it is read; it is tried again the next time",
    "empty.md": "the file is empty (0 bytes); fill or exclude it",
    "binary.md": "this is no text file although its name says so; replace or exclude it",
    "pipe.md": "this is a named pipe, not a file; exclude it",
    "s.md": "this is a socket, not a file; exclude it",
    "device.md": "the link leads out of the source's folder and is not followed",
    "hang.csv": "its parser did not finish within 0.5 s; simplify, split or exclude the file, or raise",
    "exit.csv": "its parser crashed; repair, split or exclude the file",
    "killed.csv": "its parser was killed, most likely for want of memory; repair, split or exclude the file",
}
"""What is said of each; '' where it depends on the parser which limit it meets first."""
GOOD = {
    "a good page": "good.md",
    "a good print": "good.pdf",
    "a good letter": "good.docx",
    "a name that is not UTF-8": "caf\\xe9.md",
    "packed": "escape.zip/good.md",
    "nested": "nested.zip/1.zip/2.zip/inner.md",
    "found before it was locked": "locked/before.md",
}


def misbehave(path: str, data: bytes) -> Converted:
    """As some files make parsers behave."""
    match path:
        case "hang.csv":
            time.sleep(600)
        case "exit.csv":
            os._exit(11)
        case "killed.csv":
            os.kill(os.getpid(), signal.SIGKILL)
    return readable(path, data)


class Restricted(FolderSource):
    """Is listed by somebody who may not read everything."""

    def files(self) -> Iterator[SourceFile]:
        with as_somebody_else():
            files = list(super().files())
        yield from files


class Careful(Loader):
    """Has no patience with the one that hangs, and time for all others on a busy machine."""

    def __init__(self) -> None:
        super().__init__(timeout_s=300, max_worker_bytes=550_000_000)

    def read(self, file: SourceFile) -> bytes:
        if file.root is None:  # unpacked by Parley itself
            return super().read(file)
        with as_somebody_else():
            return super().read(file)

    def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
        if file.path == "hang.csv":
            with Loader(timeout_s=0.5) as other:
                return other.load(file, data, source=source)
        return super().load(file, data, source=source)


class Untouched(Careful):
    """Reads, and loads nothing."""

    def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
        raise AssertionError(f"{file.path} is loaded again")


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def changed(document: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """An Office file with something else in one of its parts."""
    source = zipfile.ZipFile(io.BytesIO(document))
    parts = {name: source.read(name) for name in source.namelist()}
    assert old in parts[part]
    return zipped(**parts | {part: parts[part].replace(old, new, 1)})


def write_bad_files(root: Path) -> None:
    """All of `REASONS` and `GOOD`, but for what needs permissions."""
    (root / "good.md").write_text("# Good\n\na good page")
    (root / "good.pdf").write_bytes(pdf("a good print"))
    (root / "good.docx").write_bytes(docx("Good", "a good letter"))
    with open(os.fsencode(root) + b"/caf\xe9.md", "wb") as file:  # noqa: PTH123 - a bytes path
        file.write(b"a name that is not UTF-8")
    (root / "truncated.pdf").write_bytes(WHOLE_PDF[: len(WHOLE_PDF) // 8])
    (root / "encrypted.pdf").write_bytes(pdf("Secret", encrypted=True))
    (root / "bomb.zip").write_bytes(zipped(**{f"{n}.txt": bytes(40_000_000) for n in range(4)}))
    (root / "single.zip").write_bytes(zipped(**{"zeros.txt": bytes(60_000_000)}))
    inner = zipped(**{"3.zip": zipped(**{"4.md": b"too deep"}), "inner.md": b"nested"})
    (root / "nested.zip").write_bytes(zipped(**{"1.zip": zipped(**{"2.zip": inner})}))
    names = {"../evil.md": b"x", "/etc/evil.md": b"x", "C:\\evil.md": b"x", "good.md": b"packed"}
    (root / "escape.zip").write_bytes(zipped(**names))
    write_bombs(root)
    with (root / "huge.md").open("wb") as file:
        file.truncate(2**31)
    (root / "loop.md").symlink_to(root / "loop.md")
    (root / "up").symlink_to(root)
    (root / "out.md").symlink_to(root.parent / "secret/key.md")
    (root / "outside").symlink_to(root.parent / "secret")
    (root / "device.md").symlink_to("/dev/zero")
    (root / "empty.md").touch()
    (root / "growing.md").write_text("grows")
    (root / "binary.md").write_bytes(b"\x7fELF\x00\x01\x02" * 50)
    os.mkfifo(root / "pipe.md")
    for name in ("hang", "exit", "killed"):
        (root / f"{name}.csv").write_text("a,b\n1,2\n")


def write_bombs(root: Path) -> None:
    """Office files that swell, and XML that does."""
    swollen = b"x" * 80_000_000
    (root / "bomb.docx").write_bytes(changed(docx("a", "SMALL"), "word/document.xml", b"SMALL", swollen))
    slides = pptx(("a", "SMALL"))
    (root / "bomb.pptx").write_bytes(changed(slides, "ppt/slides/slide1.xml", b"SMALL", swollen))
    sheets = xlsx(Sheet=[["a", "SMALL"]])
    (root / "bomb.xlsx").write_bytes(changed(sheets, "xl/worksheets/sheet1.xml", b"SMALL", swollen))
    laughs = docx("a", "SMALL")
    laughs = changed(laughs, "word/document.xml", b"<w:document", f"{BILLION_LAUGHS}<w:document".encode())
    (root / "laughs.docx").write_bytes(changed(laughs, "word/document.xml", b"SMALL", b"&j;"))
    (root / "laughs.xml").write_text(f"{BILLION_LAUGHS}<l>&j;</l>")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody can reach, with another one beside it that is nobody's business."""
    with folder_for_everybody() as folder:
        (folder / "secret").mkdir()
        (folder / "secret/key.md").write_text("the secret")
        (folder / "docs").mkdir()
        yield folder / "docs"


def sync(setting: Setting, loader: Callable[[], Loader]) -> SyncReport:
    index = Index(
        setting.engine,
        setting.store,
        setting.embedder,
        SETTINGS,
        setting.root.parent / "index.lock",
        loader=loader,
    )
    return index.sync([Restricted("docs", setting.root, EVERYONE)])


def test_every_bad_file_is_reported_by_name_and_the_rest_is_found(
    setting: Setting, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "readable", misbehave)
    check = opening.require_size

    def grow(size: int, *, max_bytes: int, kind: str = "file") -> None:
        check(size, max_bytes=max_bytes, kind=kind)
        if is_growing:
            with (root / "growing.md").open("a") as file:
                file.write("x")

    is_growing = True
    monkeypatch.setattr(opening, "require_size", grow)
    (root / "locked").mkdir()
    (root / "locked/before.md").write_text("found before it was locked")
    (root / "private.md").write_text("private")
    with monkeypatch.context() as patch:
        patch.setattr(opening, "require_size", check)
        assert sync(setting, Careful).failed == []
    write_bad_files(root)
    (root / "private.md").chmod(0)
    (root / "locked").chmod(0)
    (root / "growing.md").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(root)  # the path of a socket has to be short
        listening.bind("s.md")

    report = sync(setting, Careful)
    reasons = dict(report.failed)
    assert reasons.keys() == REASONS.keys()
    for path, expected in REASONS.items():
        assert reasons[path].startswith(f"{path}: {expected}"), reasons[path]
    (source,) = report.sources
    assert source.deleted == 0
    texts = setting.texts()
    assert GOOD.keys() | {"private"} == set(texts)
    live = {version.path for version in setting.manifest.versions() if version.live}
    assert live == {*GOOD.values(), "private.md"}, "and nothing else; what cannot be read any more stays"
    assert "the secret" not in texts

    revision = setting.manifest.state().revision
    again = sync(setting, Untouched)
    assert dict(again.failed) == reasons
    assert again.to_load == 0
    assert setting.manifest.state().revision == revision

    repair(root)
    is_growing = False
    repaired = sync(setting, Careful)
    left = REASONS.keys() - {"binary.md", "locked", "private.md", "growing.md", "bomb.zip", "exit.csv"}
    assert dict(repaired.failed).keys() == left
    assert repaired.sources[0].deleted == 1, "what was in the folder is gone now"
    assert {"repaired", "packed again", "private"} < set(setting.texts())
    assert "found before it was locked" not in setting.texts()


def repair(root: Path) -> None:
    (root / "binary.md").write_text("repaired")
    (root / "private.md").chmod(0o644)
    (root / "bomb.zip").write_bytes(zipped(**{"a.md": b"packed again"}))
    (root / "locked").chmod(0o755)
    (root / "locked/before.md").unlink()
    (root / "exit.csv").unlink()


def test_an_archive_that_becomes_bad_keeps_what_was_found_in_it(setting: Setting, root: Path) -> None:
    (root / "a.zip").write_bytes(zipped(**{"one.md": b"one", "in/two.md": b"two"}))
    (root / "a.zip.md").write_text("three")
    assert sync(setting, Careful).failed == []
    whole = (root / "a.zip").read_bytes()
    (root / "a.zip").write_bytes(whole[:-40])
    (root / "a.zip.md").unlink()
    for _ in range(2):
        report = sync(setting, Untouched)
        assert report.failed == [("a.zip", "a.zip: the archive is damaged or cut off; replace or exclude it")]
        assert setting.texts() == ["one", "two"]
    (root / "a.zip").write_bytes(zipped(**{"one.md": b"one"}))
    assert sync(setting, Untouched).failed == []
    assert setting.texts() == ["one"]


def test_archives_of_a_paused_source_are_read_again_where_everything_is(setting: Setting, root: Path) -> None:
    (root / "a.zip").write_bytes(zipped(**{"one.md": b"one"}))
    setting.sync()
    setting.paused = frozenset({"docs"})
    setting.settings = replace(setting.settings, capacity=setting.settings.capacity + 1)
    assert setting.sync().rebuilt
    assert setting.texts() == ["one"]
