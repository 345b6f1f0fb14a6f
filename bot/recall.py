"""Which earlier turns of a thread an answer may build on: those that all who will see it could see, and still may.

A thread is no audience: somebody can ask privately in it, and who may see a source can change from one question to the
next. What is left out here is neither searched with nor shown to the model.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from bot.attachments import SOURCE
from bot.messages import IncomingMessage
from feedback.records import Turn


def usable(turns: Sequence[Turn], message: IncomingMessage, *, visible: AbstractSet[str]) -> list[Turn]:
    """Those of the thread's `turns` that the reply to `message` may rest on; `visible` are the sources it may use."""
    return [
        turn
        for turn in turns
        if turn.id != message.turn_id  # asked again, it does not follow itself
        and _was_shown(turn, message)
        and {found.source for found in turn.retrieved} <= visible | {SOURCE}
    ]


def _was_shown(turn: Turn, message: IncomingMessage) -> bool:
    """Whether the turn was shown to all who will see this reply: in the open, or to this person, who is alone again."""
    if turn.audience:
        return True
    return turn.user_id == message.user_id and (message.is_private or message.addressed == "direct")
