"""Who is answered, where and how often.

The rules come from `[policy]` in the settings, from what the people of a place have set there, and from what the
inbox remembers. What nobody said to the bot is passed over in silence; to everything else there is an answer, or a
sentence that says how there can be one.

`judge` reads the database and blocks. Of two questions that arrive at the same moment both may pass a limit that
leaves room for one. What a person may see is not decided here but in `knowledge.access`.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.config import PolicySettings
from bot.inbox import Inbox
from bot.messages import IncomingMessage
from bot.places import Places, PlaceSettings

CONSOLE = "console"
"""The terminal. Whoever sits there owns the settings, so no list keeps them out."""
_NO_WORKSPACES = frozenset({CONSOLE, "web"})
"""Platforms that know no workspaces to choose from."""
_SWITCHED_OFF = "I am switched off here; an admin of Parley can switch me on with `channel on`."
_NOTHING_SAID = (
    "Yes? Ask me anything in your own words, such as “How do I get access to the VPN?”; `help` lists what "
    "else I understand."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to become of a message."""

    kind: Literal["answer", "ignore", "refuse"]
    sentence: str = ""
    """Why it is refused, for the asker."""
    overheard: bool = False
    """Whether it is answered although nobody said it to the bot, so that "I don't know" had better not be shown."""
    place: PlaceSettings = field(default_factory=PlaceSettings)


class Policy:
    """Decides about messages; `judge` may raise `DatabaseError`."""

    def __init__(
        self,
        settings: PolicySettings,
        places: Places,
        inbox: Inbox,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._places = places
        self._inbox = inbox
        self._now = now

    def judge(self, message: IncomingMessage, *, again: bool = False) -> Verdict:
        """What is to become of it; `again` is for one that was accepted before, and meets no limit of rate."""
        if message.by_bot and message.person not in self._settings.bots:
            return Verdict(kind="ignore")
        place = self._places.get(message.platform, message.conversation_id)
        heard = self._heard(message, place)
        refusal = self._not_allowed(message) or _not_now(message, place)
        if heard is None or (refusal and heard != "asked"):
            return Verdict(kind="ignore", place=place)
        if not refusal and not again:
            refusal = self._too_many(message)
        if not refusal:
            # "Thanks!" in a thread wants no "I don't know".
            overheard = heard == "overheard" or (heard == "follow-up" and not _asks(message.text))
            return Verdict(kind="answer", overheard=overheard, place=place)
        if heard == "overheard":
            return Verdict(kind="ignore", place=place)
        return Verdict(kind="refuse", sentence=refusal, place=place)

    def is_admin(self, message: IncomingMessage) -> bool:
        """Whether the asker may use the commands of admins.

        `message` should be complete: before that, only those named in the settings are known to be admins.
        """
        if message.platform == CONSOLE or message.person in self._settings.admins:
            return True
        # Whoever brings the bot along to a server of their own is an admin there, and none here.
        ours = self._settings.workspaces
        return message.by_admin and (not ours or f"{message.platform}:{message.workspace_id}" in ours)

    def _not_allowed(self, message: IncomingMessage) -> str:
        """Why the lists of the settings keep this message out, or an empty text."""
        lists = self._settings
        workspace = f"{message.platform}:{message.workspace_id}"
        if lists.workspaces and message.platform not in _NO_WORKSPACES and workspace not in lists.workspaces:
            if not message.workspace_id:
                return "I answer only in certain workspaces; please ask me in a channel of one of them."
            return (
                "This workspace is not one where I may answer; an admin of Parley can add "
                f"{workspace} to policy.workspaces."
            )
        if lists.channels and message.addressed != "direct" and message.place not in lists.channels:
            return (
                "This channel is not one where I may answer; an admin of Parley can add "
                f"{message.place} to policy.channels."
            )
        if lists.people and message.platform != CONSOLE and message.person not in lists.people:
            return (
                "You are not among those whom I may answer; an admin of Parley can add "
                f"{message.person} to policy.people."
            )
        return ""

    def _heard(
        self, message: IncomingMessage, place: PlaceSettings
    ) -> Literal["asked", "follow-up", "overheard"] | None:
        """How the message concerns the bot; None when it does not."""
        if message.addressed not in {"thread", "channel"}:
            return "asked"
        if _is_to_somebody_else(message.text):
            return None
        if (
            message.addressed == "thread"
            and place.answer != "mention"
            and self._inbox.knows_thread(message.platform, message.conversation_id, message.thread_id)
        ):
            return "follow-up"
        return "overheard" if place.answer == "question" and is_question(message.text) else None

    def _too_many(self, message: IncomingMessage) -> str:
        """Why one more question is too many now, and how long that will be so; or an empty text."""
        limit = self._settings.person_per_hour
        if wait := self._minutes_over(limit, message.platform, user_id=message.user_id):
            return f"You have asked {_questions(limit)} in the last hour; please go on in about {wait}."
        limit = self._settings.place_per_hour
        if message.addressed != "direct" and (
            wait := self._minutes_over(limit, message.platform, conversation_id=message.conversation_id)
        ):
            return f"{_questions(limit)} came from here in the last hour; please go on in about {wait}."
        return ""

    def _minutes_over(
        self, limit: int, platform: str, *, user_id: str | None = None, conversation_id: str | None = None
    ) -> str:
        """How long until fewer than `limit` questions lie within an hour: "12 minutes", empty when they do now."""
        start = self._now() - timedelta(hours=1)

        def is_under(minutes: int) -> bool:
            since = start + timedelta(minutes=minutes)
            return (
                self._inbox.received_since(
                    since, platform=platform, user_id=user_id, conversation_id=conversation_id
                )
                < limit
            )

        if is_under(0):
            return ""
        minutes = 1 + bisect_left(range(1, 60), True, key=is_under)
        return "a minute" if minutes == 1 else f"{minutes} minutes"


def _not_now(message: IncomingMessage, place: PlaceSettings) -> str:
    """Why there is nothing to answer, or not here; or an empty text."""
    if not place.enabled:
        return _SWITCHED_OFF
    if message.text.strip() or message.attachments or message.addressed == "command":
        return ""
    return _NOTHING_SAID


_MENTION = re.compile(
    r"\s*(?:(?:hi|hey|hello|hallo|thanks|thank\s+you|danke)\s+)?<(?:@[!&]?\w+|!subteam\^\w+)(?:\|[^<>]*)?>",
    re.IGNORECASE,
)
"""Slack's `<@U1>`, `<@U1|ann>` and `<!subteam^S1>`, Discord's `<@1>`, `<@!1>` and `<@&1>`."""


def _is_to_somebody_else(text: str) -> bool:
    """Whether it begins with a person's or a group's name; the bot's own was taken off by the adapter."""
    return _MENTION.match(text) is not None


_NOT_PROSE = (
    (re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL), " it "),
    (re.compile(r"^[ \t]*(?:>|&gt;).*$", re.MULTILINE), " "),  # what somebody else said
    (re.compile(r"<a?:\w+:\d+>|:[\w+-]+:"), " "),  # emoji
    (re.compile(r"<[^<>\s][^<>]*>|\b[a-z][a-z+.-]{1,15}://\S*[^\s?!.,)]", re.IGNORECASE), " it "),
)
"""What is left out, and what stands for it in its sentence."""
_GREETING = r"(?:(?:hi|hello|hey|hallo|moin|servus|dear|good|guten)\b[^,.!:\n–-]{0,30}[,.!:\n–-]\s*)?"
_OPENER = r"(?:(?:and|but|so|also|ok(?:ay)?|please|und|aber|bitte|sorry|entschuldigung)\b,?\s+){0,2}"
_AUXILIARY = (
    r"(?:can|could|may|might|shall|should|will|would|do|does|did|is|are|was|were|has|have|had|am)(?:n['’]t)?"
)
_SUBJECT = (
    r"(?:i|we|you|he|she|it|they|there|the|this|that|these|those|my|our|your|their|any\w*|some\w*|every\w*)"
)
_AUXILIARY_DE = (
    r"(?:kann|können|könnte[nt]?|darf|dürfen|muss|müssen|soll(?:te)?n?|ist|sind|hat|haben|gibt|gilt|wird|werden|"
    r"weiß|weiss|kennt|bekomm\w*|brauch\w*|funktioniert)"
)
_SUBJECT_DE = (
    r"(?:ich|wir|du|ihr|man|er|sie|es|der|die|das|dem|den|eine?[nmrs]?|mein\w*|unser\w*|jemand|hier|noch)"
)
_BEGINS_A_QUESTION = re.compile(
    rf"\s*{_GREETING}{_OPENER}(?:"
    r"(?:who|whose|whom|what|why|how|which)(?:['’](?:s|re))?"
    rf"|(?:when|where)(?:['’]s|\s+{_AUXILIARY})"
    rf"|{_AUXILIARY}\s+{_SUBJECT}"
    r"|any(?:one|body|\s+ideas?|\s+chance)"
    r"|wer|wem|wen|wessen|was|wann|wo|woher|wohin|womit|wofür|wodurch|woran|worauf|worin|wozu|warum|wieso|weshalb"
    r"|wie|wieviele?|welche[mnrs]?"
    rf"|{_AUXILIARY_DE}\s+{_SUBJECT_DE}"
    r")\b",
    re.IGNORECASE,
)
_FEWEST_WORDS = 3


def is_question(text: str) -> bool:
    """Whether somebody seems to want to know something, in English or German.

    A rule of thumb that rather says yes: what it lets pass is answered only when the documents have an answer.
    """
    for pattern, stand_in in _NOT_PROSE:
        text = pattern.sub(stand_in, text)
    if len(re.findall(r"\w+", text)) < _FEWEST_WORDS:
        return False
    if "?" in text or "？" in text:
        return True
    # "What a day!" is none.
    return not text.rstrip().endswith("!") and _BEGINS_A_QUESTION.match(text) is not None


def _asks(text: str) -> bool:
    """Whether a follow-up wants an answer in any case; short ones need not be whole questions: "Why?"."""
    return text.rstrip().endswith(("?", "？")) or is_question(text)


def _questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count} questions"
