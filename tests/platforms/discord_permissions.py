"""Permissions as bits, and what a member may do in a channel: roles first, then what the channel overrides.

Only the permissions named here exist; time-outs, verification levels and categories do not.
"""

from collections.abc import Mapping

BITS = {
    "CREATE_INVITE": 1 << 0,
    "ADMINISTRATOR": 1 << 3,
    "MANAGE_CHANNELS": 1 << 4,
    "MANAGE_GUILD": 1 << 5,
    "ADD_REACTIONS": 1 << 6,
    "VIEW_CHANNEL": 1 << 10,
    "SEND_MESSAGES": 1 << 11,
    "MANAGE_MESSAGES": 1 << 13,
    "EMBED_LINKS": 1 << 14,
    "ATTACH_FILES": 1 << 15,
    "READ_MESSAGE_HISTORY": 1 << 16,
    "MENTION_EVERYONE": 1 << 17,
    "MANAGE_ROLES": 1 << 28,
    "USE_APPLICATION_COMMANDS": 1 << 31,
    "MANAGE_THREADS": 1 << 34,
    "CREATE_PUBLIC_THREADS": 1 << 35,
    "CREATE_PRIVATE_THREADS": 1 << 36,
    "SEND_MESSAGES_IN_THREADS": 1 << 38,
    "USE_EXTERNAL_APPS": 1 << 50,
}


def bits(*names: str) -> int:
    """The sum of these permissions; KeyError for one that does not exist here."""
    total = 0
    for name in names:
        total |= BITS[name]
    return total


ALL = bits(*BITS)
BOT = bits(
    "VIEW_CHANNEL",
    "SEND_MESSAGES",
    "SEND_MESSAGES_IN_THREADS",
    "CREATE_PUBLIC_THREADS",
    "READ_MESSAGE_HISTORY",
    "EMBED_LINKS",
    "ATTACH_FILES",
    "ADD_REACTIONS",
)
"""What the bot's own role may do after an invitation that asks for what it needs."""
EVERYONE = BOT | bits("CREATE_PRIVATE_THREADS", "USE_APPLICATION_COMMANDS", "USE_EXTERNAL_APPS")
_NEED_SENDING = bits("EMBED_LINKS", "ATTACH_FILES", "MENTION_EVERYONE")


def compute(
    user: str,
    everyone: str,
    roles: Mapping[str, int],
    overwrites: Mapping[str, tuple[int, int]],
    *,
    thread: bool,
    hidden: bool,
) -> int:
    """The permissions of a member with these roles, in Discord's documented order.

    `overwrites` are pairs of allowed and denied bits by id; `hidden` means a private thread that the member has
    not joined, which only moderators see.
    """
    total = 0
    for permissions in roles.values():
        total |= permissions
    if total & BITS["ADMINISTRATOR"]:
        return ALL
    allow, deny = overwrites.get(everyone, (0, 0))
    total = total & ~deny | allow
    allow = deny = 0
    for role in roles.keys() - {everyone}:
        one_allow, one_deny = overwrites.get(role, (0, 0))
        allow, deny = allow | one_allow, deny | one_deny
    total = total & ~deny | allow
    allow, deny = overwrites.get(user, (0, 0))
    total = total & ~deny | allow
    if not total & BITS["VIEW_CHANNEL"] or (hidden and not total & BITS["MANAGE_THREADS"]):
        return 0
    if not total & bits("SEND_MESSAGES_IN_THREADS" if thread else "SEND_MESSAGES"):
        total &= ~_NEED_SENDING
    return total
