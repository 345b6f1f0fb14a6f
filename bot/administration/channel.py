"""`channel …`: how the assistant behaves in the conversation in which it is said; see `bot.places`."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from bot.administration.naming import nameable, unknown_source
from bot.commands import Command, Request, listing
from bot.config import NAME
from bot.errors import UsageError
from bot.places import Places, PlaceSettings, When

log = logging.getLogger(__name__)

LONGEST_PERSONA = 500
LONGEST_LANGUAGE = 40
"""Characters; both become part of every prompt."""


def channel_commands(
    places: Places, *, source_names: Callable[[], Sequence[str]], visible_to: Mapping[str, frozenset[str]]
) -> list[Command]:
    """`source_names` gives the names of the sources that there are now, `visible_to` who may see each."""

    def command(
        name: str,
        about: str,
        change: Callable[[PlaceSettings, Request], PlaceSettings],
        *,
        argument: str = "",
        placeholder: str = "",
    ) -> Command:
        def write(request: Request) -> str:
            message = request.message
            before = places.get(message.platform, message.conversation_id)
            after = change(before, request)
            if after != before:
                places.put(message.platform, message.conversation_id, after, by=message.person)
                log.info("%s said %r in %s", message.person, name, message.place)
            return _described(after, named=nameable(after.sources, message, visible_to))

        async def run(request: Request) -> str:
            return await asyncio.to_thread(write, request)

        return Command(
            name=name, about=about, run=run, argument=argument, placeholder=placeholder, needs_admin=True
        )

    return [
        command("channel", "show how I behave here", lambda place, _: place),
        command("channel on", "answer here", lambda place, _: replace(place, enabled=True)),
        command("channel off", "answer nothing here", lambda place, _: replace(place, enabled=False)),
        command(
            "channel answer",
            "answer only to my name, also to what follows in my threads, or to every question",
            lambda place, given: replace(place, answer=cast("When", given.argument.casefold())),
            argument="mention|thread|question",
        ),
        command(
            "channel persona",
            "how I speak here, in your words",
            lambda place, given: replace(place, persona=_text(given, "persona", most=LONGEST_PERSONA)),
            argument=r"\S.*",
            placeholder="TEXT|none",
        ),
        command(
            "channel language",
            "the language of my answers",
            lambda place, given: replace(place, language=_text(given, "language", most=LONGEST_LANGUAGE)),
            argument=r"[^\W\d_][\w ()-]*",
            placeholder="NAME|none",
        ),
        command(
            "channel sources",
            "what I search here",
            lambda place, given: replace(place, sources=_chosen(given, source_names(), visible_to)),
            argument=rf"{NAME}(?:\s*,\s*{NAME})*",
            placeholder="NAME[, NAME …]|all",
        ),
    ]


def _text(given: Request, what: str, *, most: int) -> str:
    text = " ".join(given.argument.split())
    if len(text) > most:
        raise UsageError(
            f"A {what} has at most {most} characters, this one has {len(text)}; make it shorter."
        )
    return "" if text.casefold() == "none" else text


def _chosen(
    given: Request, known: Sequence[str], visible_to: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    if given.argument.casefold() == "all":
        return ()
    names = tuple(dict.fromkeys(name.strip().casefold() for name in given.argument.split(",")))
    for name in names:
        if name not in known:
            raise unknown_source(name, known, given.message, visible_to)
    return names


_WHEN: dict[When, str] = {
    "mention": "to my name",
    "thread": "to my name, and to what follows in my threads",
    "question": "to every question",
}


def _described(place: PlaceSettings, *, named: Sequence[str]) -> str:
    """`named` are those of its sources that all who read the reply may know of."""
    sources = listing(named, "and") if named else "none that everyone here may see"
    when = (
        f"{_WHEN[place.answer]} (`{place.answer}`)"
        if place.enabled
        else "not at all (`channel on` changes that)"
    )
    return "\n".join(
        (
            f"- I answer here: {when}",
            f"- persona: {place.persona or 'none'}",
            f"- language: {place.language or 'that of the question'}",
            f"- sources: {sources if place.sources else 'all'}",
        )
    )
