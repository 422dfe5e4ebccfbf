"""`release.json`: what a release is, written when all of it is there."""

import hashlib
import hmac
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vmixjax.atomic import atomic_path
from vmixjax.data.bounded import parse_json, read_bounded
from vmixjax.data.formats import FORMATS
from vmixjax.data.writing import MANIFEST, WORK
from vmixjax.errors import RunError
from vmixjax.release.keys import digest
from vmixjax.release.schema import Layout, Manifest, Tally

_LAYOUT = 4
_SOFTWARE = ("vmixjax", "jax", "jaxlib", "numpy", "pillow")


def release_identity(secret: bytes, about: Mapping[str, Any]) -> str:
    """Gives what the owner of a secret knows a release by; others learn nothing of it.

    Args:
      secret: Secret of the owner.
      about: How the release is mixed.
    """
    text = json.dumps(about, sort_keys=True)
    return digest(secret, b"vmixjax release", [text])


def describe(
    about: Mapping[str, Any],
    identity: str,
    source: str | None,
    soft_labels: str | None,
    splits: Mapping[str, int],
    tally: Tally,
    fields: Iterable[str],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Gives what a manifest says, but for the shards and the signature.

    Args:
      about: How the release was mixed.
      identity: What a vault knows it by.
      source: What tells its owner whether the files that were mixed have changed.
      soft_labels: Likewise of the file of soft labels, where there is one.
      splits: Images in each split.
      tally: Tally of all images, of which there is at least one.
      fields: What the release has of each image beside it; see `Sink.holds`.
      files: Files that are of no shard, with their SHA-256.
    """
    assert tally.before is not None
    assert tally.after is not None
    software = {name: importlib.metadata.version(name) for name in _SOFTWARE}
    return {
        "vmixjax": _LAYOUT,
        "identity": identity,
        "source": source,
        "soft_labels": soft_labels,
        "about": dict(about),
        "splits": dict(splits),
        # By numbers, as the images have them: names may be left behind.
        "classes": tally.classes,
        "images": tally.images,
        "fields": list(fields),
        "skipped": tally.skipped,
        "out_of_reach": tally.out_of_reach,
        "with_clear_tiles": tally.clear,
        "hardly_changed": tally.hardly_changed,
        **_boxes(tally),
        "vfe": {
            "before": tally.before.measured(tally.images),
            "after": tally.after.measured(tally.images),
        },
        # What the bytes of a release may depend on.
        "software": {"python": platform.python_version(), **software},
        "files": dict(files),
    }


def _boxes(tally: Tally) -> dict[str, Any]:
    """What there is to say of boxes: nothing where there are none."""
    said = {
        "boxes": tally.boxes,
        "with_boxes": tally.with_boxes,
        "boxes_cut_off": tally.boxes_cut_off,
    }
    return {name: value for name, value in said.items() if value}


def write_manifest(
    root: Path,
    description: Mapping[str, Any],
    shards: Iterable[Mapping[str, Any]],
    sign: Callable[[bytes], str],
) -> None:
    """Writes `release.json`.

    Args:
      root: Folder of the release.
      description: What `describe` gave.
      shards: Split, number of images, and files with their SHA-256 of each shard;
        there may be millions of files, so they are not all held.
      sign: Gives the signature for the SHA-256 of all before it.
    """
    with atomic_path(root / MANIFEST, aside=root / WORK) as file:
        written = hashlib.sha256()
        for piece in _pieces(description, shards):
            file.write(piece.encode())
            written.update(piece.encode())
        file.write(_end(sign(written.digest())))


def _pieces(
    description: Mapping[str, Any], shards: Iterable[Mapping[str, Any]]
) -> Iterable[str]:
    head = json.dumps(description, indent=1).removesuffix("\n}")
    yield f'{head},\n "shards": [\n'
    for number, shard in enumerate(shards):
        yield (",\n" if number else "") + json.dumps(shard, indent=1)
    yield "\n ]"


def _end(signature: str) -> bytes:
    return f',\n "signature": "{signature}"\n}}\n'.encode()


def signature(secret: bytes, written: bytes) -> str:
    """Gives a MAC of `release.json`.

    Args:
      secret: Secret of the owner.
      written: SHA-256 of all in it but that MAC.
    """
    return digest(secret, b"vmixjax manifest", [written.hex()])


def is_signed(manifest: Manifest, written: bytes, secret: bytes) -> bool:
    """Tells whether who has the secret has written a manifest, and all of it."""
    expected = signature(secret, written)
    return hmac.compare_digest(manifest.signature.encode(), expected.encode())


def read_manifest(root: Path, *, within: str = "") -> tuple[Manifest, bytes]:
    """Reads `release.json`; gives the SHA-256 of all but its signature as well.

    Args:
      root: Folder of the release.
      within: Folder in it where `release.json` lies, while the release is updated.

    Raises:
      RunError: It is not there, or is none.
    """
    path = root / within / MANIFEST
    try:
        data = read_bounded(path, _most_bytes(root))
        if parse_json(data, Layout).vmixjax != _LAYOUT:
            raise RunError(
                f"{path} was written by another version of vmixjax; use that one"
            )
        manifest = parse_json(data, Manifest)
        if manifest.about.format not in FORMATS:
            raise RunError(
                f"{path} is of the format {manifest.about.format!r}, which is none of "
                f"{', '.join(FORMATS)}; install the package that reads it"
            )
        # Whatever else comes last is not what was signed.
        signed = data.removesuffix(_end(manifest.signature))
        return manifest, hashlib.sha256(signed).digest()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{root} is no release, or not a finished one: {MANIFEST} is not there"
        ) from error
    except RunError:
        raise
    except ValueError as error:
        raise RunError(f"{path} is damaged; use a copy of the release") from error


def _most_bytes(root: Path) -> int:
    """How large the manifest of so many files can be, names of 4,096 bytes and all."""
    files = sum(len(names) for _, _, names in os.walk(root))
    return int(2**20 + 2**14 * files)
