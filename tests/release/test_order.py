"""The order of a release tells nothing, and the secret knows the way back."""

import hashlib
import json
import os
import tarfile
import threading

import numpy as np
import pytest

from vmixjax.cli import main
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import write_png
from vmixjax.release.order import inverse, keyed_order

SECRET = bytes(range(32))
OPTIONS = ["--tile-size", "8", "--shard-size", "5"]
COUNT = 12


def test_an_order_is_a_permutation_that_never_changes():
    order = keyed_order(SECRET)("train", 1000)
    assert sorted(order) == list(range(1000))
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "3d7841bcf9506bed"
    back = inverse(keyed_order(SECRET))("train", 1000)
    assert (order[back] == np.arange(1000)).all()
    assert len(keyed_order(SECRET)("train", 0)) == 0


def test_orders_of_other_secrets_and_splits_have_nothing_in_common():
    order = keyed_order(SECRET)("train", 1000)
    for secret, split in ((SECRET, "test"), (SECRET[::-1], "train")):
        other = keyed_order(secret)(split, 1000)
        # One in place is expected by chance, and more than eight next to never.
        assert (other == order).sum() <= 8


def test_neighbours_do_not_stay_neighbours():
    order = keyed_order(SECRET)("train", 1000)
    assert (np.abs(np.diff(order)) == 1).sum() <= 12


def picture(number):
    image = np.full((8, 8, 3), number, np.uint8)
    image[0] = np.arange(8)[:, None]
    return image


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        write_png(folder / f"{number:02}.png", picture(number))
    return folder


def numbers(release):
    """Which picture each image of a release is, in the release's own order."""
    if any(release.glob("*.tar")):
        images = []
        for path in sorted(release.glob("*.tar")):
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.name.endswith(".png"):
                        tar.extract(member, release.parent / "one", filter="data")
                        images.append(release.parent / "one" / member.name)
    else:
        images = sorted(release.rglob("*.png"))
    return [int(np.median(read_image(path))) for path in images]


@pytest.mark.parametrize("format", ["folder", "webdataset"])
def test_a_release_is_shuffled_and_its_vault_brings_all_back(photos, tmp_path, format):
    release, vault, restored = (tmp_path / n for n in ("release", "vault", "restored"))
    options = [*OPTIONS, "--format", format]
    assert (
        main(["mix", str(photos), str(release), "--vault", str(vault), *options]) == 0
    )
    assert numbers(release) != list(range(COUNT))
    assert sorted(numbers(release)) == list(range(COUNT))
    about = json.loads((release / "release.json").read_text())["about"]
    assert about["order"] == "shuffled"
    assert main(["verify", str(release), "--vault", str(vault)]) == 0
    assert main(["unmix", str(release), str(restored), "--vault", str(vault)]) == 0
    assert numbers(restored) == list(range(COUNT))
    one = tmp_path / "seventh"
    arguments = ["unmix", str(release), str(one), "--vault", str(vault), "--id"]
    assert main([*arguments, "07.png"]) == 0
    assert numbers(one) == [7]


def test_the_same_secret_gives_the_same_order(photos, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "secret").chmod(0o600)
    options = [*OPTIONS, "--secret-file", str(tmp_path / "secret")]
    for name in ("one", "other"):
        assert main(["mix", str(photos), str(tmp_path / name), *options]) == 0
    expected = list(keyed_order(SECRET)("train", COUNT))
    assert numbers(tmp_path / "one") == numbers(tmp_path / "other") == expected


def test_a_secret_may_come_through_a_pipe(photos, tmp_path):
    pipe, kept = tmp_path / "pipe", tmp_path / "secret"
    kept.write_bytes(SECRET)
    kept.chmod(0o600)
    os.mkfifo(pipe, 0o600)
    told = threading.Thread(target=pipe.write_bytes, args=(SECRET,), daemon=True)
    told.start()
    for name, path in (("piped", pipe), ("kept", kept)):
        options = [*OPTIONS, "--secret-file", str(path)]
        assert main(["mix", str(photos), str(tmp_path / name), *options]) == 0
    assert numbers(tmp_path / "piped") == numbers(tmp_path / "kept")


def test_order_can_be_kept(photos, tmp_path):
    release = tmp_path / "release"
    assert main(["mix", str(photos), str(release), "--keep-order", *OPTIONS]) == 0
    assert numbers(release) == list(range(COUNT))
    about = json.loads((release / "release.json").read_text())["about"]
    assert about["order"] == "kept"
