"""Tokens in the database, encrypted: a copy of the database alone does not give them away.

The key is derived from `PARLEY_SECRET_KEY`, which is nowhere in the database; who has both has the tokens. When the
secret is changed, the tokens cannot be read any more and have to be obtained again. The names are not encrypted.

The methods block; callers on an event loop go through `asyncio.to_thread`.
"""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa
from pydantic import SecretStr

from bot.database import transaction
from bot.errors import SettingsError
from bot.tables import secrets, upsert

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_SALT = b"parley vault"
"""The same everywhere: it keeps the key apart from other uses of the secret, and cannot slow down guessing."""
_COST = 2**15
"""Of scrypt: 32 MiB and about a tenth of a second, once, which makes a short secret slow to guess."""


class Vault:
    """Keeps tokens under names. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine, key: SecretStr | None) -> None:
        self._engine = engine
        self._key = key

    def put(self, name: str, value: str) -> None:
        """Keep a token, in place of the one with that name.

        Raises:
            SettingsError: there is no PARLEY_SECRET_KEY.
        """
        row = {
            "name": name,
            "value": self._fernet.encrypt(value.encode()).decode(),
            "changed_at": datetime.now(UTC),
        }
        with transaction(self._engine) as connection:
            connection.execute(upsert(self._engine, secrets, row))

    def get(self, name: str) -> str | None:
        """The token, or None when there is none of that name.

        Raises:
            SettingsError: there is no PARLEY_SECRET_KEY, or it is not the one that the token was kept with.
        """
        from cryptography.fernet import InvalidToken

        fernet = self._fernet
        query = sa.select(secrets.c.value).where(secrets.c.name == name)
        with transaction(self._engine) as connection:
            value = connection.execute(query).scalar_one_or_none()
        if value is None:
            return None
        try:
            return fernet.decrypt(value).decode()
        except InvalidToken as error:
            raise SettingsError(
                f"The stored token {name} was encrypted with another PARLEY_SECRET_KEY; set that one again, or "
                "obtain the token anew."
            ) from error

    def delete(self, name: str) -> None:
        """Forget a token; does nothing when there is none."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(secrets).where(secrets.c.name == name))

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin so, sorted."""
        # LIKE would take capitals for small letters on SQLite.
        begins = sa.func.substr(secrets.c.name, 1, len(prefix)) == prefix
        with transaction(self._engine) as connection:
            return sorted(connection.execute(sa.select(secrets.c.name).where(begins)).scalars())

    @cached_property
    def _fernet(self) -> "Fernet":
        from cryptography.fernet import Fernet
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        if self._key is None:
            raise SettingsError(
                "Tokens are stored encrypted; set PARLEY_SECRET_KEY to a long random text, and keep it."
            )
        key = Scrypt(salt=_SALT, length=32, n=_COST, r=8, p=1).derive(self._key.get_secret_value().encode())
        return Fernet(urlsafe_b64encode(key))
