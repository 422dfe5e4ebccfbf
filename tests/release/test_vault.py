import dataclasses
import os
import sqlite3
import stat

import numpy as np
import pytest

from vmixjax import MixConfig
from vmixjax.data.example import Trace
from vmixjax.errors import VaultError
from vmixjax.release.vault import FILE_NAME, Entry, open_vault
from vmixjax.release.vault.traces import TOGETHER

MIXED = np.arange(32 * 64 * 3, dtype=np.uint16).reshape(32, 64, 3)
ENTRY = Entry(
    identity=bytes(range(16)),
    output="a.png",
    source="family/birthday.jpg",
    restored="family/birthday",
    config=MixConfig(ladder=((8, 2), (32, 1)), channels="joint"),
    levels=np.array([[1, 2]], np.uint8),
    height=33,
    width=65,
    channels=3,
    rest=bytes(range(97)) * 6,
    texts={"id": "Anna"},
)


def same(a, b):
    return (a.levels == b.levels).all() and all(
        getattr(a, name) == getattr(b, name) for name in vars(ENTRY) if name != "levels"
    )


def test_what_is_kept_is_found_again_by_its_pixels(tmp_path):
    folder = tmp_path / "deep" / "vault"
    with open_vault(folder, create=True) as vault:
        secret = vault.secret
        vault.store([vault.seal(MIXED, ENTRY)])
    with open_vault(folder, create=True) as vault:
        assert vault.secret == secret
        assert len(secret) == 32
        assert same(vault.find(MIXED, "renamed.png"), ENTRY)
        assert vault.find(MIXED + 1, "a.png") is None
        assert vault.find(MIXED.reshape(64, 32, 3), "a.png") is None


def test_equal_pixels_are_told_apart_by_name(tmp_path):
    with open_vault(tmp_path, create=True) as vault:
        other = dataclasses.replace(ENTRY, output="b.png", source="other.jpg")
        vault.store([vault.seal(MIXED, entry) for entry in (ENTRY, other)])
        assert vault.find(MIXED, "a.png").source == ENTRY.source
        assert vault.find(MIXED, "b.png").source == "other.jpg"


def test_only_the_owner_can_read_it(tmp_path):
    folder = tmp_path / "vault"
    before = os.umask(0)
    try:
        with open_vault(folder, create=True) as vault:
            vault.store([vault.seal(MIXED, ENTRY)])
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in folder.iterdir()
            }
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {FILE_NAME: 0o600}


def test_secrets_differ_between_vaults(tmp_path):
    secrets = set()
    for name in "ab":
        with open_vault(tmp_path / name, create=True) as vault:
            secrets.add(vault.secret)
    assert len(secrets) == 2


def test_no_vault_is_said_and_none_is_made(tmp_path):
    with pytest.raises(VaultError, match="holds no vault"), open_vault(tmp_path / "v"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_vault_is_said(tmp_path):
    (tmp_path / FILE_NAME).write_text("this is not a data base, at all" * 99)
    (tmp_path / FILE_NAME).chmod(0o600)
    with pytest.raises(VaultError, match="cannot be used"), open_vault(tmp_path):
        pass


def test_another_version_is_said(tmp_path):
    with open_vault(tmp_path, create=True):
        pass
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE about SET value = '99' WHERE name = 'format'")
    connection.close()
    with pytest.raises(VaultError, match="another version"), open_vault(tmp_path):
        pass


def test_a_vault_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vmixjax.release.vault.vault.new_secret", full)
    with pytest.raises(OSError, match="No space"), open_vault(tmp_path, create=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_found_by_either_name(tmp_path):
    with open_vault(tmp_path, create=True) as vault:
        vault.store([vault.seal(MIXED, ENTRY)])
        assert vault.output_of("a.png") == "a.png"
        assert vault.output_of("family/birthday.jpg") == "a.png"
        assert vault.output_of("birthday.jpg") is None


def test_nothing_in_it_can_be_read_without_the_passphrase(tmp_path):
    with open_vault(tmp_path, create=True, passphrase=b"open sesame") as vault:
        secret = vault.secret
        vault.store([vault.seal(MIXED, ENTRY)])
    data = (tmp_path / FILE_NAME).read_bytes()
    for word in (b"birthday", b"Anna", secret, ENTRY.identity, b"sesame"):
        assert word not in data
    with open_vault(tmp_path, passphrase=b"open sesame") as vault:
        assert vault.secret == secret
        assert same(vault.find(MIXED, "a.png"), ENTRY)
    for passphrase, words in (
        (None, "name the file that holds it"),
        (b"open barley", "holds another passphrase"),
    ):
        with (
            pytest.raises(VaultError, match=words),
            open_vault(tmp_path, passphrase=passphrase),
        ):
            pass


def test_a_passphrase_that_nobody_needs_is_said(tmp_path):
    with open_vault(tmp_path, create=True):
        pass
    with (
        pytest.raises(VaultError, match="has no passphrase"),
        open_vault(tmp_path, passphrase=b"x"),
    ):
        pass


def test_a_given_secret_is_taken_and_no_other(tmp_path):
    with open_vault(tmp_path, create=True, secret=bytes(range(32))) as vault:
        assert vault.secret == bytes(range(32))
    with (
        pytest.raises(VaultError, match="another secret than --secret-file"),
        open_vault(tmp_path, secret=bytes(32)),
    ):
        pass


@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_meddling_is_noticed(tmp_path, passphrase):
    with open_vault(tmp_path, create=True, passphrase=passphrase) as vault:
        other = dataclasses.replace(ENTRY, output="b.png")
        rows = [vault.seal(MIXED, ENTRY), vault.seal(MIXED + 1, other)]
        vault.store(rows)
    (*found_by, sealed), (*_, others) = rows
    flipped = sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:]
    for meddled in (flipped, others, sealed[:-1], "text"):
        with open_vault(tmp_path, passphrase=passphrase) as vault:
            vault.store([(*found_by, meddled)])
            with pytest.raises(VaultError, match=r"entry for a\.png was changed"):
                vault.find(MIXED, "a.png")
    for how in (
        "UPDATE about SET value = zeroblob(60) WHERE name = 'secret'",
        "UPDATE about SET value = 'text' WHERE name = 'secret'",
        "DELETE FROM about WHERE name = 'secret'",
        "DELETE FROM about WHERE name = 'key'",
    ):
        with sqlite3.connect(tmp_path / FILE_NAME) as connection:
            connection.execute(how)
        connection.close()
        with (
            pytest.raises(VaultError, match="was changed or is damaged"),
            open_vault(tmp_path, passphrase=passphrase),
        ):
            pass


def test_a_source_is_remembered_as_it_was(tmp_path):
    traces = [
        Trace("train", f"caf\udce9/{n}.png", n, n + 1, 2**40 + n, -n)
        for n in range(TOGETHER + 1)
    ]
    with open_vault(tmp_path, create=True) as vault:
        vault.remember("a" * 32, iter(traces))
        vault.remember("b" * 32, iter(traces[:1]))
    with open_vault(tmp_path) as vault:
        assert list(vault.remembered("a" * 32)) == traces
        assert list(vault.remembered("b" * 32)) == traces[:1]
        assert list(vault.remembered("c" * 32)) == []
    # Nothing of the one passes for the other.
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(
            "UPDATE sources SET sealed = (SELECT sealed FROM sources WHERE number = 1) "
            "WHERE source = ? OR number = 0",
            ("b" * 32,),
        )
    connection.close()
    with open_vault(tmp_path) as vault:
        for source in ("a" * 32, "b" * 32):
            with pytest.raises(VaultError, match="entry for the source was changed"):
                list(vault.remembered(source))


def test_two_releases_of_one_image_keep_an_entry_each(tmp_path):
    first, second = (dataclasses.replace(ENTRY, mixed_from=one) for one in ("1", "2"))
    with open_vault(tmp_path, create=True) as vault:
        vault.store([vault.seal(MIXED, first), vault.seal(MIXED, second)])
        for entry in (first, second):
            found = list(vault.entries_of(ENTRY.source, entry.mixed_from))
            assert [one.mixed_from for one in found] == [entry.mixed_from]
        assert list(vault.entries_of(ENTRY.source, "3")) == []
        assert vault.find(MIXED, ENTRY.output) is not None
