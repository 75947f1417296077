"""Encrypt the secrets that change while we run, before they reach the database."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sync_engine.errors import CredentialsError

_MARK = "fernet:"


class Keyring:
    """Seal with the first key, open with any of them; without keys texts stay as they are.

    A new key goes to the front and the old one stays behind it until everything was sealed anew; then it
    can be taken away. ``keys``: 32 bytes each, in URL-safe base64.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._newest = Fernet(keys[0]) if keys else None
        self._all = MultiFernet([Fernet(key) for key in keys]) if keys else None

    @property
    def seals(self) -> bool:
        """Tell whether there is a key at all."""
        return self._newest is not None

    def seal(self, text: str) -> str:
        """Encrypt a text for keeping."""
        return text if self._newest is None else _MARK + self._newest.encrypt(text.encode()).decode()

    def open(self, kept: str) -> str:
        """Give the text that was kept, sealed or from the time before there was a key.

        Raises:
            CredentialsError: none of the keys fits.
        """
        if not kept.startswith(_MARK):
            return kept
        try:
            if self._all is not None:
                return self._all.decrypt(kept.removeprefix(_MARK)).decode()
        except InvalidToken:
            pass
        raise CredentialsError(
            "the kept token cannot be decrypted: put the key it was encrypted with back into secret_key, "
            "or authorise the connection anew"
        )

    def is_current(self, kept: str) -> bool:
        """Tell whether a kept text is sealed the way it would be sealed now."""
        if self._newest is None:
            return True
        try:
            self._newest.decrypt(kept.removeprefix(_MARK))
        except InvalidToken:
            return False
        return kept.startswith(_MARK)
