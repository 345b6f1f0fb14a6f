"""What can go wrong between the bot and Discord, on a test's demand.

Routes go by the names of their functions, such as `create_message` or `interaction_callback`; "*" means any.
"""

from tests.platforms.discord_gateway import Gateway
from tests.platforms.discord_limits import RATE_LIMITS
from tests.platforms.discord_rest import Fault, Rest


class Faults:
    """The faults of a local Discord; `LocalDiscord` is one of these."""

    gateway: Gateway
    api: Rest

    def fail(self, route: str, code: int, *, times: int = 1) -> None:
        """Answer the next calls of a route ("*": of any) with this error code of Discord's, undone."""
        self.api.faults[route].append(Fault(times, code=code))

    def http_error(self, route: str, status: int = 503, *, times: int = 1) -> None:
        self.api.faults[route].append(Fault(times, status=status))

    def slow(self, route: str, seconds: float, *, times: int = 1) -> None:
        self.api.faults[route].append(Fault(times, seconds=seconds))

    def lose_answer(self, route: str, *, times: int = 1) -> None:
        """Do the work, keep it, and cut the connection instead of answering."""
        self.api.faults[route].append(Fault(times, reset="after"))

    def lose_call(self, route: str, *, times: int = 1) -> None:
        """Cut the connection before anything is done."""
        self.api.faults[route].append(Fault(times, reset="before"))

    def limit(self, route: str, calls: int, seconds: float) -> None:
        """Answer 429 to calls beyond `calls` in `seconds`, for each channel; "*": for all calls together."""
        if route == "*":
            self.api.limits.everything = (calls, seconds)
        else:
            self.api.limits.routes[route] = (calls, seconds)

    def limit_as_discord(self, *, faster: float = 1.0) -> None:
        """Discord's own rate limits, with all windows shorter by a factor."""
        for route, (calls, seconds) in RATE_LIMITS.items():
            self.limit(route, calls, seconds / faster)
        self.limit("*", 50, 1.0 / faster)

    def drop_connections(self) -> None:
        """Cut all gateway connections without a word; what happens meanwhile comes when the bot resumes."""
        self.gateway.drop()

    def go_deaf(self) -> None:
        """Keep the connections that are open now, but say nothing over them any more, not even to heartbeats."""
        for connection in self.gateway.connections:
            connection.deaf = True

    def ask_to_reconnect(self) -> None:
        self.gateway.reconnect()

    def invalidate_session(self, *, resumable: bool = False) -> None:
        self.gateway.invalidate(resumable=resumable)

    def replay(self, events: int = 1_000_000) -> None:
        """Cut the connections, and on RESUME send that many events again that the bot has seen already."""
        self.gateway.replay(events)

    def deliver_again(self, *names: str) -> int:
        """Send everything (or the events of these names) once more over the open connections; gives how much."""
        return self.gateway.deliver_again(*names)
