"""Which sources a reply to a command may name: an admin may know of all, whoever else reads the reply may not."""

from collections.abc import Callable, Iterable, Mapping

from bot.commands import code, listing
from bot.errors import UsageError
from bot.messages import IncomingMessage
from knowledge.access import visible_sources

MayName = Callable[[str], bool]
"""Whether a source may be named to all who read the reply."""
READ = "read "
ELSEWHERE = "(Sources that not everyone here may see are told of in a direct message to me.)"


def is_alone(message: IncomingMessage) -> bool:
    """Whether only the admin who gave the command sees the reply."""
    return message.is_private or message.addressed == "direct"


def nameable(
    names: Iterable[str], message: IncomingMessage, visible_to: Mapping[str, frozenset[str]]
) -> list[str]:
    """Those of the sources that all who see the reply may know of, in order."""
    if is_alone(message):
        return list(names)
    visible = visible_sources(visible_to, message.principals)
    return [name for name in names if name in visible]


def unknown_source(
    name: str, known: Iterable[str], message: IncomingMessage, visible_to: Mapping[str, frozenset[str]]
) -> UsageError:
    """What to raise when none of the `known` sources has that name: it tells those that may be named."""
    named = nameable(known, message, visible_to)
    there = f"the sources are {listing(named, 'and')}" if named else "`sources` shows which there are"
    return UsageError(f"There is no source {code(name)}; {there}.")


def naming(message: IncomingMessage, visible_to: Mapping[str, frozenset[str]]) -> MayName:
    """`nameable` for one source at a time."""
    return lambda name: bool(nameable([name], message, visible_to))


def may_know_all(message: IncomingMessage, visible_to: Mapping[str, frozenset[str]]) -> bool:
    """Whether all who read the reply may know of every source."""
    return len(nameable(visible_to, message, visible_to)) == len(visible_to)


def nameable_jobs(
    names: Iterable[str], message: IncomingMessage, visible_to: Mapping[str, frozenset[str]]
) -> list[str]:
    """The same for the names of jobs, of which "read SOURCE" names one."""
    jobs = list(names)
    told = {name: name.removeprefix(READ) for name in jobs if name.startswith(READ)}
    nameable_sources = set(nameable(told.values(), message, visible_to))
    return [name for name in jobs if name not in told or told[name] in nameable_sources]
