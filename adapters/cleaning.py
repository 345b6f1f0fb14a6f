"""A model's Markdown made safe to show: it notifies nobody and leads nowhere but to what was asked about.

Guaranteed of the result, read as CommonMark with tables: no link or image leads to an address that is not allowed;
outside code there is nothing that Slack or Discord take for a mention, and no address that is not allowed, whether
as it stands or with its entities and backslashes read. Inside code only what may notify even there is broken up.

A block with nothing of this kind stays as it is, character by character. Any other is written anew from its tokens,
in a form that parsers less exact than CommonMark read alike: code has one backtick on either side, or three. The
result is read again, and what then does not hold is shown as code in full.

Not guaranteed: that an allowed address is harmless. HTML is text here.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it.token import Token

from adapters.addresses import addresses, disallowed, may_link, normalised
from adapters.markup import as_text, hanging, lines_of, parse, prefix

_BREAK = "\u200b"
"""A space without width: nobody sees it, and no platform finds a mention across it."""

_EVERYBODY = r"channel|here|everyone|group|subteam\b"
_MENTION = re.compile(
    r"<(?:([@#])[!&]?|!(?:subteam\^)?)(\w+)(?:\|[@#]?([^<>\n]*))?>",
)
_NOTIFIES = re.compile(rf"<(?=[@#][!&]?\w|!(?:{_EVERYBODY}))|@(?=everyone|here|channel)", re.IGNORECASE)
_OUTSIDE_CODE = re.compile(rf"`[^`\n]*`|{_NOTIFIES.pattern}", re.IGNORECASE)
_NOTIFIES_IN_CODE = re.compile(rf"<(?=@[!&]?[UW\d]|!(?:{_EVERYBODY}))", re.IGNORECASE)
_SLACK_LINK = re.compile(r"<([^<>|\s]+:[^<>|\s]+)\|([^<>\n]*)>")
_MAIL_OR_WEB = re.compile(r"[a-z][a-z0-9+.\-]*://|mailto:", re.IGNORECASE)
_SPAN = re.compile(r"`[^`\n]+`")
_FENCE_END = re.compile(r"[ \t>]*`{3,}[ \t]*")
_SPECIAL = re.compile(r"\\|(?<!\w)_|_(?!\w)|\*(?!\s)|(?<!\s)\*|<(?!\s)|~(?=~)|(?<=~)~|&(?=#?\w+;)")
_BRACKET = re.compile(r"[\[\]]")
_IN_LINK = str.maketrans({char: f"%{ord(char):02X}" for char in ' ()<>\\`"|\n*[]'})

_Edit = tuple[int, int, list[str]]
"""Lines [start, end) and what takes their place."""


def clean(markdown: str, *, allowed_links: Collection[str]) -> str:
    """`markdown` without mentions and without links, except those to `allowed_links`.

    The text of a link that goes stays, and its address stands beside it as code. See the module for what is
    guaranteed. Cleaning twice changes nothing more.
    """
    allowed = frozenset(key for link in allowed_links if (key := normalised(link)))
    cleaner = _Cleaner(allowed)
    lines = lines_of(markdown)
    if not cleaner.edits(lines):
        return markdown
    for attempt in (cleaner, _Cleaner(allowed, strict=True)):
        result = list(lines)
        for start, end, new in reversed(attempt.edits(lines)):
            result[start:end] = new
        if not cleaner.edits(result):
            return "\n".join(result)
    return "\n".join(_fenced(lines))


@dataclass(frozen=True, slots=True)
class _Cleaner:
    allowed: frozenset[str]
    """In normal form."""
    strict: bool = False
    """Write without any link: for a block that was not safe when written with those that are allowed."""

    def edits(self, lines: Sequence[str]) -> list[_Edit]:
        """What has to change, in the order of the lines."""
        tokens = parse(lines)
        found: list[_Edit] = []
        known: set[int] = set()
        rows: dict[int, list[Token]] = {}
        for before, token in pairwise([Token("", "", 0), *tokens]):
            if token.type not in {"fence", "code_block", "inline"}:
                continue
            # A heading's text does not count the line below it.
            start, end = (before.map if before.type == "heading_open" else token.map) or (0, 0)
            known.update(range(start, end))
            if token.type != "inline":
                if self._is_bad_code(token, lines[start:end]):
                    found.append((start, end, _fence_anew(token, lines[start])))
            elif before.type in {"th_open", "td_open"}:
                rows.setdefault(start, []).append(token)
            elif self._is_bad(token):
                found.append((start, end, self._block(before, token, lines[start:end])))
        for number, cells in rows.items():
            # The line itself too: cells without a column have no tokens.
            if any(map(self._is_bad, cells)) or self._is_bad_source(lines[number]):
                written = (self._inline(cell.children or []) for cell in cells)
                row = " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in written)
                found.append((number, number + 1, [f"{prefix(lines[number])}| {row} |"]))
        found += (
            (number, number + 1, [prefix(line).rstrip()])
            for number, line in enumerate(lines)
            if number not in known and self._is_bad_definition(line)
        )
        return sorted(found)

    def _is_bad_text(self, text: str) -> bool:
        return bool(_NOTIFIES.search(text)) or disallowed(text, self.allowed)

    def _is_bad_definition(self, line: str) -> bool:
        """Of a link: these lines have no tokens, and nobody misses one that leads where nobody may go."""
        is_allowed = any(is_allowed for _, _, is_allowed in addresses(line, self.allowed))
        return self._is_bad_text(line) or ("]:" in line and not is_allowed)

    def _is_bad_source(self, line: str) -> bool:
        return bool(_NOTIFIES_IN_CODE.search(line)) or self._is_bad_text(_SPAN.sub(" ", line))

    def _is_bad_code(self, token: Token, lines: Sequence[str]) -> bool:
        """Code that notifies; or that not every parser takes for code, with what would be bad in text."""
        if any(map(_NOTIFIES_IN_CODE.search, lines)):
            return True
        is_plain = (
            token.type == "fence"
            and token.markup.startswith("`")
            and len(lines) > 1
            and _FENCE_END.fullmatch(lines[-1])
            and "```" not in token.content
        )
        return not is_plain and self._is_bad_text("\n".join(lines))

    def _is_bad(self, token: Token) -> bool:
        """Whether a block's text has to be written anew, judged by its tokens and by its source."""
        if _NOTIFIES_IN_CODE.search(token.content):
            return True
        inside = list(_walk(token.children or ()))
        spans = [inner for inner in inside if inner.type == "code_inline"]
        # Where each backtick belongs to code with one on either side, everybody agrees on what is code.
        agreed = all(span.markup == "`" for span in spans) and token.content.count("`") == 2 * len(spans)
        if self._is_bad_text(_SPAN.sub(" ", token.content) if agreed else token.content):
            return True
        if any(self._is_bad_text(inner.content) for inner in inside if inner.type == "text"):
            return True
        return any(
            not self._may_stay(inner, inside[number + 1 :])
            for number, inner in enumerate(inside)
            if inner.type in {"link_open", "image"}
        )

    def _may_stay(self, token: Token, following: Sequence[Token]) -> bool:
        """Whether a link or image may stay one; `following` begins with what is inside the link."""
        href = _target(token)
        if self.strict or not may_link(href, self.allowed) or _NOTIFIES.search(href):
            return False
        # A link that calls itself by another address is one more trick.
        label = token.content or "".join(inner.content for inner in _until_close(following))
        return "://" not in label or not disallowed(label, {normalised(href) or ""})

    def _block(self, before: Token, token: Token, lines: Sequence[str]) -> list[str]:
        """A paragraph or heading written anew."""
        first = prefix(lines[0])
        text = self._inline(token.children or [])
        if before.type == "heading_open":
            return [f"{first}{'#' * int(before.tag[1])} {' '.join(text.split())}"]
        head, *rest = (as_text(line.lstrip()) for line in text.split("\n"))
        written = [first + head, *(hanging(first) + line for line in rest)]
        written[-1] += lines[-1][len(lines[-1].rstrip()) :]
        return written

    def _inline(self, tokens: Sequence[Token], *, in_link: bool = False) -> str:
        written: list[str] = []
        rest = list(tokens)
        while rest:
            token = rest.pop(0)
            match token.type:
                case "text":
                    written.append(self._text(token.content, in_link=in_link))
                case "code_inline":
                    written.append(_code(token.content))
                case "softbreak" | "hardbreak":
                    written.append("\n" if token.type == "softbreak" else "  \n")
                case "image":
                    written.append(self._link(token, token.children or []))
                case "link_open":
                    inside = list(_until_close(rest))
                    rest = rest[len(inside) + 1 :]
                    written.append(self._link(token, inside))
                case _:
                    written.append(token.markup)
        text = "".join(written).replace("``", "` `")
        return _OUTSIDE_CODE.sub(
            lambda found: found[0] if found[0][0] == "`" else f"{found[0]}{_BREAK}", text
        )

    def _link(self, token: Token, inside: Sequence[Token]) -> str:
        if token.markup == "autolink":
            shown = f"<{inside[0].content}>"
            if _MENTION.fullmatch(shown) or _SLACK_LINK.fullmatch(shown):
                return self._text(shown)
            if not _MAIL_OR_WEB.match(_target(token)):
                return _code(shown)
            return self._text(inside[0].content)
        href = _target(token)
        if self._may_stay(token, inside):
            mark = "!" if token.type == "image" else ""
            return f"{mark}[{self._inline(inside, in_link=True)}]({href.translate(_IN_LINK)})"
        return _beside(self._inline(inside), href)

    def _text(self, text: str, *, in_link: bool = False) -> str:
        """Text that means to every platform what it says; `<url|label>` is read as Slack's link."""
        written: list[str] = []
        position = 0
        for link in _SLACK_LINK.finditer(text):
            written += self._words(text[position : link.start()], in_link=in_link)
            opening = Token("link_open", "a", 1, attrs={"href": link[1]})
            written.append(self._link(opening, [Token("text", "", 0, content=link[2])]))
            position = link.end()
        written += self._words(text[position:], in_link=in_link)
        return "".join(written)

    def _words(self, text: str, *, in_link: bool) -> Iterator[str]:
        position = 0
        text = _MENTION.sub(lambda mention: f"{mention[1] or '@'}{mention[3] or mention[2]}", text)
        found = addresses(text, () if self.strict else self.allowed)
        for start, end, is_allowed in [*found, (len(text), len(text), True)]:
            words = _SPECIAL.sub(r"\\\g<0>", text[position:start].replace("`", "'"))
            yield _BRACKET.sub(r"\\\g<0>", words) if in_link or self.strict else words
            yield text[start:end] if is_allowed else _code(text[start:end])
            position = end


def _target(token: Token) -> str:
    return str(token.attrs.get("src" if token.type == "image" else "href", ""))


def _walk(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _walk(token.children or ())


def _until_close(tokens: Sequence[Token]) -> Iterator[Token]:
    """What is inside a link, from the tokens after its first; there are no links in links."""
    for token in tokens:
        if token.type == "link_close":
            return
        yield token


def _beside(label: str, href: str) -> str:
    """A link without the link; a place on the same page says nothing elsewhere."""
    if not href or href.startswith("#"):
        return label
    return f"{label} ({_code(href)})" if label.strip() else _code(href)


def _code(text: str) -> str:
    inside = _NOTIFIES_IN_CODE.sub(f"<{_BREAK}", text.replace("`", "'").replace("\n", " ")).strip()
    return f"`{inside}`" if inside else ""


def _fence_anew(token: Token, line: str) -> list[str]:
    first = prefix(line)
    if token.type == "code_block":
        first = f"{first.strip()} ".lstrip()
    found = re.match(r"[\w+#.\-]*", token.info.strip())
    content = token.content.removesuffix("\n").split("\n")
    return _fenced(content, info=found[0] if found else "", first=first)


def _fenced(content: Sequence[str], *, info: str = "", first: str = "") -> list[str]:
    rest = hanging(first)
    inside = (_NOTIFIES_IN_CODE.sub(f"<{_BREAK}", line.replace("```", "'''")) for line in content)
    return [f"{first}```{info}", *(rest + line for line in inside), f"{rest}```"]
