"""Images that are links into a store beside them, as caches of data sets have them."""

import numpy as np
import oracle
import pytest

from vmixjax.cli import main
from vmixjax.data import open_source, write_png
from vmixjax.errors import ImageError


def picture(number):
    """One shape for all tests: every other one takes seconds to compile."""
    return np.roll(oracle.smooth_image(16, 16), number, (0, 1)) ^ np.uint8(number)


@pytest.fixture
def photos(tmp_path):
    for folder in ("photos", "blobs", "elsewhere"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        write_png(tmp_path / "blobs" / f"sha-{number}", picture(number))
        link = tmp_path / "photos" / f"{number}.png"
        link.symlink_to(f"../blobs/sha-{number}")
    return tmp_path / "photos"


def test_links_are_followed_into_what_is_named(photos, tmp_path, capsys):
    mixed, vault = str(tmp_path / "mixed"), ["--vault", str(tmp_path / "vault")]
    command = ["mix", str(photos), mixed, "--tile-size", "8", *vault]
    assert main(command) == 2
    assert "is a link out of the folder" in capsys.readouterr().err
    follow = ["--follow-links", str(tmp_path / "blobs")]
    assert main([*command, *follow]) == 0
    source = ["--source", str(photos), *follow]
    assert main(["verify", mixed, *vault, *source]) == 0
    assert main(["unmix", mixed, str(tmp_path / "back"), *vault]) == 0
    restored = open_source(str(tmp_path / "back"))
    names = [restored.read("train", number).name for number in range(2)]
    assert names == ["0.png", "1.png"]
    # What a link leads to is what counts as changed.
    write_png(tmp_path / "blobs" / "sha-1", picture(5))
    capsys.readouterr()
    assert main([*command, *follow]) == 2
    assert "1 changed (1.png)" in capsys.readouterr().err


def test_other_links_are_not_followed(photos, tmp_path, capsys):
    write_png(tmp_path / "elsewhere" / "secret.png", picture(3))
    (photos / "2.png").symlink_to("../elsewhere/secret.png")
    # A link in the store leads out of it again.
    (tmp_path / "blobs" / "sha-3").symlink_to("../elsewhere/secret.png")
    (photos / "3.png").symlink_to("../blobs/sha-3")
    source = open_source(str(photos), follow_links=[tmp_path / "blobs"])
    assert (source.read("train", 1).image == picture(1)).all()
    for number in (2, 3):
        with pytest.raises(ImageError, match=r"is a link out.*--follow-links"):
            source.read("train", number)
    nowhere = ["--follow-links", str(tmp_path / "nowhere")]
    assert main(["mix", str(photos), str(tmp_path / "mixed"), *nowhere]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err
