"""Per-image keys, derived from the owner's secret."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vmixjax.config import MixConfig
from vmixjax.errors import RunError
from vmixjax.keys import SECRET_BYTES
from vmixjax.release.private import read_private

_DIFFERENT = 16
"""Random bytes of a secret are 30 different ones on average; so few, never."""


def read_secret(path: Path) -> bytes:
    """Reads the secret in a file.

    Raises:
      RunError: It does not hold 32 random bytes, or others may have read or made it.
      OSError: It is not there, or cannot be read.
    """
    option = "--secret-file"
    secret = read_private(path, option, SECRET_BYTES + 1)
    needed = SECRET_BYTES
    make = f"`(umask 077; head -c {needed} /dev/urandom > FILE)` makes one"
    if len(secret) != needed:
        holds = f"{len(secret)}" if len(secret) < needed else f"more than {needed}"
        raise RunError(
            f"{option} {path} holds {holds} bytes, and needs {needed} random ones: "
            f"{make}"
        )
    if not looks_random(secret):
        raise RunError(f"{option} {path} holds no random bytes: {make}")
    return secret


def looks_random(secret: bytes) -> bool:
    """Tells whether bytes may be random: not text, not few different ones.

    A secret that somebody made up is one that somebody can guess.
    """
    text = re.fullmatch(rb"[\s!-~]*", secret)
    return len(set(secret)) > _DIFFERENT and text is None


def image_id(name: str, pixels: bytes, levels: np.ndarray, config: MixConfig) -> bytes:
    """Computes what names one mixing of one image: 16 bytes.

    Args:
      name: Name of the image in the release.
      pixels: `pixels_digest` of what is to be mixed.
      levels: uint8 (H // T, W // T), the plan.
      config: What the levels mean.

    Returns:
      A digest of all of them. A file that is edited and mixed again, or mixed by
      another plan, has another id and so another key; the same work done again has
      the same. The digest of an original can be compared with guesses at it, so it
      stays in the vault.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    parts = [encoded, repr(config).encode(), levels.tobytes(), pixels]
    blake = hashlib.blake2b(digest_size=16, person=b"vmixjax image id")
    return _with_lengths(blake, parts).digest()


def derive_key(secret: bytes, identity: bytes) -> np.ndarray:
    """Derives the key of an image: keyed BLAKE2b of its id, as uint32 (8,).

    These are the data of a typed key of 256 bits: as long as the secret, so nothing
    shorter can be searched for.
    """
    words = hashlib.blake2b(
        identity, key=secret, digest_size=SECRET_BYTES, person=b"vmixjax key"
    ).digest()
    return np.frombuffer(words, "<u4").astype(np.uint32)


def digest(secret: bytes, purpose: bytes, parts: Iterable[str]) -> str:
    """Tells whether things are the same, and nothing else to who has no secret.

    Args:
      secret: Secret of the owner.
      purpose: Up to 16 bytes; digests for other purposes cannot be compared.
      parts: Parts of what is named.

    Returns:
      32 hexadecimal digits.
    """
    encoded = (part.encode("utf-8", "surrogateescape") for part in parts)
    blake = hashlib.blake2b(key=secret, digest_size=16, person=purpose)
    return _with_lengths(blake, encoded).hexdigest()


def _with_lengths(blake: hashlib.blake2b, parts: Iterable[bytes]) -> hashlib.blake2b:
    """The digest of parts, each with its length: no other parts have the same."""
    for part in parts:
        blake.update(len(part).to_bytes(8, "little"))
        blake.update(part)
    return blake
