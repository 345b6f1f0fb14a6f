"""A Chroma server by URL: whether it can be used, which of its failures pass, and what is wrong in a sentence.

Speaks HTTP and knows nothing of Chroma's own client, which `knowledge.store` has to itself. A token is sent in both
headers that are in use for it; since version 1 the server itself asks for none, so a proxy in front of it does.
"""

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx

from knowledge.errors import IndexDamagedError, KnowledgeError, VectorServerError

NEEDED_VERSION: Final = "1."
"""What the server's version must begin with."""
TENANT: Final = "default_tenant"
TIMEOUT: Final = httpx.Timeout(60, connect=5)
"""Seconds. Writing a page of vectors takes a fraction of one; Chroma's client alone would wait for ever."""
ATTEMPTS: Final = 4
"""Within some two seconds, as somebody may be waiting for an answer. All operations of a store may be repeated."""

_PASSING: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_REFUSED: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class _PassingError(Exception):
    """The server, or a proxy before it, asks to come back later."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class ChromaServer:
    """Where a server is, and how to get in."""

    url: str
    """Such as "http://localhost:8000"; with a path if a proxy has it below one."""
    token: str | None = field(default=None, repr=False)
    database: str = "parley"
    """Chroma's own word for a separate set of collections; made when it is missing. Each installation needs its own."""

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries; raises VectorServerError when the token cannot be sent.

        A library's error about a bad header would repeat it.
        """
        if not self.token:
            return {}
        if not re.fullmatch(r"[!-~]+", self.token):
            raise VectorServerError(
                "The token in PARLEY_CHROMA_TOKEN has spaces, line breaks or letters that are not ASCII; correct it."
            )
        return {"Authorization": f"Bearer {self.token}", "X-Chroma-Token": self.token}

    def prepare(self) -> str:
        """Make sure that it can be used, and that the database is there; its version.

        Raises:
            VectorServerError: nobody is there, it is no Chroma server or of another version, or it refuses the token.
        """
        try:
            return self.try_to_prepare()
        except (httpx.HTTPError, httpx.InvalidURL, _PassingError) as error:
            raise self.explain(error) from error

    def try_to_prepare(self) -> str:
        """As `prepare`, for who tries again: raises also what `passes` knows, and what `explain` has a sentence for."""
        with httpx.Client(headers=self.headers, timeout=TIMEOUT) as client:
            version = self._version(client)
            databases = f"{self._api}/tenants/{TENANT}/databases"
            found = client.get(f"{databases}/{self.database}")
            self.check(found)
            if found.status_code != HTTPStatus.OK:
                made = client.post(databases, json={"name": self.database})
                self.check(made)
                # Another process may have been faster.
                if made.status_code != HTTPStatus.CONFLICT and not made.is_success:
                    raise VectorServerError(
                        f"The Chroma server at {self.url} has no database '{self.database}' and makes none "
                        f"(status {made.status_code}); make it there, or correct knowledge.chroma_database."
                    )
        return version

    def check(self, response: httpx.Response) -> None:
        """Look at the status of any response of the server; what Chroma's client understands itself is let through.

        Raises:
            VectorServerError: the token is refused, or the request is too large.
            Exception: one that `passes` knows.
        """
        if response.status_code in _REFUSED:
            raise VectorServerError(
                f"The Chroma server at {self.url} refuses the token; correct PARLEY_CHROMA_TOKEN."
                if self.token
                else f"The Chroma server at {self.url} asks for a token; set PARLEY_CHROMA_TOKEN."
            )
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise VectorServerError(
                f"The Chroma server at {self.url}, or a proxy before it, refuses requests of this size; let it take "
                "up to 32 MB."
            )
        if response.status_code in _PASSING:
            raise _PassingError(response.status_code)

    @staticmethod
    def passes(error: BaseException) -> bool:
        """Whether the same may work a moment later: a server that restarts, or is overwhelmed. Not one that is slow."""
        return isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | _PassingError)

    def explain(self, error: BaseException) -> KnowledgeError:
        """A sentence for what went wrong while the server was used."""
        match error:
            case httpx.TimeoutException() if not isinstance(error, httpx.ConnectTimeout):
                return VectorServerError(
                    f"The Chroma server at {self.url} has not answered for {TIMEOUT.read:.0f} seconds; look at its log."
                )
            case httpx.HTTPError() | httpx.InvalidURL():
                return VectorServerError(
                    f"No Chroma server answers at {self.url}; start it with `chroma run`, or correct "
                    "knowledge.chroma_url."
                )
            case _PassingError():
                return VectorServerError(
                    f"The Chroma server at {self.url} is not working now (status {error.status}); look at its log, "
                    "and at that of the proxy before it."
                )
            case _ if "dimension" in str(error):
                return IndexDamagedError(
                    f"Vectors in the database '{self.database}' at {self.url} are of another embedding model than "
                    "their names say: something else has written there. Give Parley a database of its own with "
                    "knowledge.chroma_database and run `parley reindex`."
                )
        return VectorServerError(
            f"The Chroma server at {self.url} has failed ({type(error).__name__}); look at its log."
        )

    @property
    def _api(self) -> str:
        return f"{self.url.rstrip('/')}/api/v2"

    def _version(self, client: httpx.Client) -> str:
        response = client.get(f"{self._api}/version")
        self.check(response)
        version = response.text.strip().strip('"') if response.is_success else ""
        if not re.fullmatch(r"\d+(\.\w+)+", version):
            raise VectorServerError(
                f"What answers at {self.url} is no Chroma server of version {NEEDED_VERSION}x; upgrade it, or correct "
                "knowledge.chroma_url."
            )
        if not version.startswith(NEEDED_VERSION):
            raise VectorServerError(
                f"The Chroma server at {self.url} has version {version}, and Parley needs {NEEDED_VERSION}x; upgrade "
                "the server."
            )
        return version
