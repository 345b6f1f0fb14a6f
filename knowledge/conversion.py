"""The bytes of a file to Markdown, whatever its format; runs inside a worker process that may be killed.

Nothing here is trusted to end or to stay small: `knowledge.loaders` sets the limits. What it guarantees: what is
raised is a `ConversionError` with a sentence for people, or a MemoryError. The formats are in `knowledge.formats`.
"""

import warnings
import zipfile
import zlib
from dataclasses import replace
from importlib import import_module
from typing import Protocol, cast

from knowledge.formats import KNOWN_TYPES, MODULES, PLAIN_TYPES
from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.properties import storable
from knowledge.formats.tables import markdown_table

CONVERTED_TYPES = KNOWN_TYPES - PLAIN_TYPES
"""Those that need a parser and therefore a worker."""
_PAGED_TYPES = PLAIN_TYPES | {".pdf"}
"""Those in which a form feed is a page break; elsewhere it is a stray character."""


class _Format(Protocol):
    def convert(self, data: bytes, *, suffix: str) -> Converted: ...


def convert(suffix: str, data: bytes) -> Converted:
    """Turn the bytes of a file of type `suffix` (lower case, with the dot) into Markdown; another type is plain text.

    Raises:
        ConversionError: with the reason and the way out.
        MemoryError: the parser ran out of it.
    """
    converter = cast("_Format", import_module(f"knowledge.formats.{MODULES.get(suffix, 'text')}"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a parser remarks is for its own makers
            result = converter.convert(data, suffix=suffix)
    except (ConversionError, MemoryError):
        raise
    except RecursionError as error:
        raise ConversionError("its parts are nested too deeply to be read; simplify or exclude it") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ConversionError("the file is damaged or cut off; replace or exclude it") from error
    except Exception as error:  # a parser may raise anything; this is its boundary
        kind = suffix[1:].upper()
        raise ConversionError(
            f"the file is no {kind} that can be read ({type(error).__name__}); repair or exclude it"
        ) from error
    text = storable(result.text)
    if suffix in MODULES and suffix not in _PAGED_TYPES:
        text = text.replace("\f", " ")
    return replace(result, text=text, title=storable(result.title))


def pieces_of_work(suffix: str, data: bytes) -> int:
    """How many parts that take their time a file has, at least, by a look at its bytes; 0 for most formats.

    Of a PDF the streams, as each page has one; how many pages there are often stands where only a parser gets to.
    """
    return data.count(b"endstream") if suffix == ".pdf" else 0


__all__ = [
    "CONVERTED_TYPES",
    "ConversionError",
    "Converted",
    "convert",
    "markdown_table",
    "pieces_of_work",
]
