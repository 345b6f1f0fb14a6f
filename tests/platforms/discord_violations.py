"""Which of Discord's rules a test has broken, where it means to break them."""

from tests.platforms.discord import LocalDiscord


def broken(server: LocalDiscord) -> str:
    """What rules were broken; they are forgotten, so that the test passes."""
    found = "\n".join(server.violations)
    server.violations.clear()
    return found
