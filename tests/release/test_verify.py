"""`vmixjax verify` finds what is wrong with a release."""

import json

import numpy as np
import oracle
import pytest
from PIL import Image, PngImagePlugin

from vmixjax.cli import main
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import write_png
from vmixjax.data.writing import sha256


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for number in range(3):
        path = root / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        write_png(path, np.roll(oracle.smooth_image(16, 16), number, 0))
    options = ["--vault", str(root / "vault"), "--tile-size", "8"]
    assert main(["mix", str(root / "photos"), str(root / "mixed"), *options]) == 0
    return root


@pytest.fixture
def release(made, tmp_path):
    """A copy to spoil."""
    for path in (made / "mixed").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change(release, **values):
    path = release / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def allow(release, name):
    """Makes the manifest agree with a file that was changed."""
    manifest = json.loads((release / "release.json").read_text())
    manifest["shards"][0]["files"][name] = sha256(release / name)
    change(release, shards=manifest["shards"])


def verify(capsys, release, *options):
    capsys.readouterr()
    status = main(["verify", str(release), *map(str, options)])
    return status, capsys.readouterr().out


def test_a_release_as_it_was_made_is_good(made, release, capsys):
    vault = "--vault", made / "vault", "--source", made / "photos"
    status, said = verify(capsys, release, *vault)
    assert (status, said.splitlines()[-1]) == (0, "good")
    assert "3 images decode" in said
    status, said = verify(capsys, release, "--json", *vault)
    assert json.loads(said)["problems"] == []


def test_changed_missing_and_foreign_files_are_named(release, capsys):
    (release / "00000.png").unlink()
    image = read_image(release / "00001.png")
    image[0, 0, 0] ^= 1
    write_png(release / "00001.png", image)
    (release / "notes").mkdir()
    (release / "notes" / "x.png").write_bytes((release / "00002.png").read_bytes())
    status, said = verify(capsys, release)
    assert status == 1
    assert "WRONG: 00000.png is missing" in said
    assert "WRONG: 00001.png was changed" in said
    assert "WRONG: notes/x.png does not belong" in said
    (release / "notes" / "x.png").unlink()
    _, said = verify(capsys, release)
    assert "2 images are there, but release.json says 3" in said


@pytest.mark.parametrize("kind", ["tfds", "webdataset"])
def test_files_that_are_cut_off_are_named(made, tmp_path, capsys, kind):
    mixed = tmp_path / "mixed"
    arguments = [made / "photos", mixed, "--tile-size", "8", "--format", kind]
    assert main(["mix", *map(str, arguments)]) == 0
    (path,) = mixed.glob("*train*")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    status, said = verify(capsys, mixed)
    assert status == 1
    assert f"WRONG: {path.name} was changed" in said
    assert "its images cannot all be looked at" in said or "holds no image" in said


def test_metadata_is_found(release, capsys):
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Anna")
    image = Image.open(release / "00000.png")
    image.load()
    image.save(release / "00000.png", pnginfo=text)
    allow(release, "00000.png")
    with (release / "00001.png").open("ab") as file:
        file.write(b"Anna")
    allow(release, "00001.png")
    status, said = verify(capsys, release)
    assert status == 1
    assert "00000.png carries more than pixels: tEXt" in said
    assert "00001.png carries more than pixels: other data" in said


def test_an_original_is_found(made, release, capsys):
    original = made / "photos" / "1.png"
    (release / "00001.png").write_bytes(original.read_bytes())
    allow(release, "00001.png")
    status, said = verify(capsys, release, "--source", made / "photos")
    assert status == 1
    assert "WRONG: 1.png is in the release as it is" in said
    assert "WRONG: VFE is" in said
    status, said = verify(capsys, release, "--vault", made / "vault")
    assert status == 1
    assert "00001.png was not mixed with this vault" in said


def test_an_image_that_was_not_mixed_is_found(tmp_path, capsys):
    # Every tile called not private: mixing leaves it as it is.
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    for folder, image in (
        (photos, oracle.smooth_image(16, 16)),
        (masks, np.zeros((16, 16, 1), np.uint8)),
    ):
        folder.mkdir()
        write_png(folder / "x.png", image)
    mixed, vault = tmp_path / "mixed", ["--vault", str(tmp_path / "vault")]
    options = ["--sensitivity", str(masks), "--tile-size", "8", *vault]
    assert main(["mix", str(photos), str(mixed), *options]) == 0
    status, said = verify(capsys, mixed, *vault)
    assert status == 1
    assert "00000.png is as its original was" in said


def test_a_manifest_that_is_wrong_is_said(release, capsys):
    manifest = json.loads((release / "release.json").read_text())
    manifest["vfe"]["after"]["mean"] += 0.01
    change(release, vfe=manifest["vfe"], images=4)
    status, said = verify(capsys, release)
    assert status == 1
    assert "WRONG: VFE is" in said
    assert "contradicts itself" in said
    change(release, vmixjax=99)
    assert main(["verify", str(release)]) == 2
    assert "another version" in capsys.readouterr().err
    (release / "release.json").write_text("{")
    assert main(["verify", str(release)]) == 2
    assert "release.json is damaged" in capsys.readouterr().err


def test_a_vault_of_another_release_is_said(made, release, tmp_path, capsys):
    other = tmp_path / "other"
    options = ["--vault", str(other / "vault"), "--tile-size", "8"]
    assert main(["mix", str(made / "photos"), str(other / "mixed"), *options]) == 0
    status, said = verify(capsys, made / "mixed", "--vault", other / "vault")
    assert status == 1
    assert "is not of this release" in said
