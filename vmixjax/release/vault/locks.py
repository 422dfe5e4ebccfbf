"""Values sealed with AES-GCM, and the lock that a passphrase puts on a vault's key."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vmixjax.errors import VaultError

_NONCE = 12
_SALT = 16
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""128 MiB and a third of a second for each guess at a passphrase. They belong to the
format: a file that named its own could ask for any time and memory."""


class Seal:
    """Seals values under one key.

    Args:
      key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, value: bytes, place: bytes) -> bytes:
        """Seals a value; it can only be opened with the same words on its place."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Gives the value that was sealed.

        Raises:
          InvalidTag, TypeError, ValueError: It was changed, or belongs elsewhere.
        """
        return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)


def new_key(secret: bytes, passphrase: bytes | None) -> dict[str, bytes]:
    """Makes the key of a new vault, locked if there is a passphrase.

    Args:
      secret: Secret that is sealed under it.
      passphrase: Passphrase that locks it.

    Returns:
      What the vault has to say of both, by name.
    """
    key = AESGCM.generate_key(256)
    about = {"key": key, "secret": Seal(key).close(secret, b"secret")}
    if passphrase is not None:
        salt = os.urandom(_SALT)
        about |= {"key": _lock(passphrase, salt).close(key, b"key"), "salt": salt}
    return about


def unlock(folder: Path, about: Mapping[str, Any], passphrase: bytes | None) -> Seal:
    """Gives the seal of a vault, by the passphrase where one is needed.

    Args:
      folder: Folder of the vault, for complaints.
      about: What the vault says of its key; from anybody, so it is not believed.
      passphrase: Passphrase, if the owner gave one.

    Raises:
      VaultError: A passphrase is missing, wrong or not needed.
      KeyError, TypeError, ValueError: The vault is damaged.
    """
    if "salt" not in about:
        if passphrase is not None:
            raise VaultError(
                f"--vault {folder} has no passphrase; leave out --vault-passphrase-file"
            )
        return Seal(about["key"])
    if passphrase is None:
        raise VaultError(
            f"--vault {folder} has a passphrase; name the file that holds it with "
            f"--vault-passphrase-file"
        )
    try:
        return Seal(_lock(passphrase, about["salt"]).open(about["key"], b"key"))
    except InvalidTag as error:
        raise VaultError(
            f"--vault-passphrase-file holds another passphrase than that of --vault "
            f"{folder}, or the vault is damaged; nothing was read from it"
        ) from error


def _lock(passphrase: bytes, salt: bytes) -> Seal:
    return Seal(Scrypt(salt, 32, **_SCRYPT).derive(passphrase))
