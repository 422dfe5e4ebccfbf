"""A finished release is brought up to date in place, and nothing else of it changes."""

import io
import json
import os
import tarfile

import pytest
from small_folders import picture, tree

from vmixjax.cli import main
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.data.writing import MANIFEST, WORK
from vmixjax.release.job import ReleaseJob

COUNT = 10
OPTIONS = ["--tile-size", "8", "--shard-size", "2"]


@pytest.fixture
def photos(tmp_path):
    for number in range(COUNT):
        path = (
            tmp_path / "photos" / ("cats" if number % 3 else "dogs") / f"{number}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture(number))
    return tmp_path / "photos"


@pytest.fixture
def run(tmp_path, capsys):
    def do(*arguments):
        capsys.readouterr()
        status = main([*map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return do


@pytest.fixture
def mix(tmp_path, photos, run):
    vault = ["--vault", tmp_path / "vault"]

    def do(*more):
        return run("mix", photos, tmp_path / "mixed", *OPTIONS, *vault, *more)

    return do


def change(photos):
    """One image changed, one gone, and two new: what a source holds then."""
    write_png(photos / "cats/4.png", picture(44))
    (photos / "dogs/3.png").unlink()
    (photos / "birds").mkdir(exist_ok=True)
    write_png(photos / "birds/20.png", picture(20))
    write_png(photos / "cats/21.png", picture(21))


def check(tmp_path, photos, run):
    """A release is whole, and what comes back of it is what the source holds."""
    vault = ["--vault", tmp_path / "vault"]
    mixed, back = tmp_path / "mixed", tmp_path / "back"
    assert not (mixed / WORK).exists()
    status, said = run("verify", mixed, *vault, "--source", photos)
    assert status == 0, said
    status, said = run("unmix", mixed, back, *vault, "--overwrite", "--strict")
    assert status == 0, said
    there = {p.relative_to(photos) for p in photos.rglob("*.png")}
    assert {p.relative_to(back) for p in back.rglob("*.png")} == there
    for name in there:
        assert (read_image(back / name) == read_image(photos / name)).all(), name


@pytest.mark.parametrize("order", [[], ["--keep-order"]])
def test_only_what_changed_is_mixed(tmp_path, photos, mix, run, monkeypatch, order):
    assert mix(*order)[0] == 0
    before = tree(tmp_path / "mixed")
    change(photos)
    status, said = mix(*order)
    assert status == 2
    assert "2 new (birds/20.png, cats/21.png), 1 changed (cats/4.png), 1 gone" in said
    mixes, shards = ReleaseJob.mix, []

    def counted(job, shard, *more):
        shards.append(shard.name)
        return mixes(job, shard, *more)

    monkeypatch.setattr(ReleaseJob, "mix", counted)
    # As the line says.
    assert "with --update" in said
    status, said = mix(*order, "--update")
    assert status == 0, said
    assert f"{COUNT + 1} mixed" in said
    after = tree(tmp_path / "mixed")
    # Those of the one that changed, of the one that is gone, and of the two new ones.
    assert len(shards) <= 3
    assert shards[-1] == "train-000005"
    # Images that are as they were have the same name and the same bytes.
    same = before.items() & after.items()
    assert len(same) == COUNT - 2
    assert len(after) == COUNT + 1 + 1
    check(tmp_path, photos, run)
    told = json.loads((tmp_path / "mixed" / MANIFEST).read_text())
    assert (told["images"], told["skipped"]) == (COUNT + 1, 0)
    # Then there is nothing to do, with the option or without.
    for more in ([], ["--update"]):
        status, said = mix(*order, *more)
        assert status == 0
        assert "nothing was mixed" in said
    assert tree(tmp_path / "mixed") == after


def test_it_is_updated_again_and_again(tmp_path, photos, mix, run):
    first = picture(4)
    assert mix()[0] == 0
    for number in range(30, 33):
        write_png(photos / "cats/4.png", picture(number))
        write_png(photos / f"cats/{number}.png", picture(number + 50))
        assert mix("--update")[0] == 0
        check(tmp_path, photos, run)
    # What it was once is not what it is.
    write_png(photos / "cats/4.png", first)
    assert "0 new, 1 changed (cats/4.png), 0 gone" in mix()[1]
    (photos / "dogs/0.png").unlink()
    assert mix("--update")[0] == 0
    write_png(photos / "dogs/0.png", picture(0))
    assert "1 new (dogs/0.png), 0 changed, 0 gone" in mix()[1]
    assert mix("--update")[0] == 0
    check(tmp_path, photos, run)
    # A copy is no change, of images that were mixed first or last.
    for path in photos.rglob("*.png"):
        path.write_bytes(path.read_bytes())
    status, said = mix()
    assert (status, "nothing was mixed" in said) == (0, True)


def test_a_class_that_is_gone_is_gone(tmp_path, photos, mix, run):
    assert mix()[0] == 0
    for path in (photos / "dogs").iterdir():
        path.unlink()
    (photos / "dogs").rmdir()
    assert mix("--update")[0] == 0
    assert not (tmp_path / "mixed" / "dogs").exists()
    check(tmp_path, photos, run)


class Crash(BaseException):
    """What no handler of the product catches, as a kill is none."""


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_killed_it_goes_on(tmp_path, photos, mix, run, monkeypatch, at):
    """At any of the moments at which a file gets a name, or loses it."""
    assert mix()[0] == 0
    change(photos)
    left = at

    def crash_at(function):
        def stopped(*given, **named):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return function(*given, **named)

        return stopped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash_at(os.replace))
        patch.setattr(os, "unlink", crash_at(os.unlink))
        try:
            mix("--update")
        except Crash:
            pass
        else:
            # Threads make a few moments more or less of it.
            assert at > 20
    # With the option, or without where it was begun.
    status, said = mix("--update")
    assert status == 0, said
    check(tmp_path, photos, run)


def test_what_cannot_be_updated_is_told(tmp_path, photos, mix, run):
    more = ["--format", "webdataset"]
    assert mix(*more)[0] == 0
    before = tree(tmp_path / "mixed")
    change(photos)
    assert "--update" not in mix(*more)[1]
    status, said = mix(*more, "--update")
    assert status == 2
    assert "--update is for folders of image files" in said
    assert tree(tmp_path / "mixed") == before
    status, said = run("mix", photos, tmp_path / "other", *OPTIONS, "--update")
    assert status == 2
    assert "--update needs the --vault" in said
    assert mix(*more, "--update", "--engine", "beam")[0] == 2


def test_tars_of_one_sample_are_files_of_images(tmp_path, run):
    def write(name, *numbers):
        with tarfile.open(tmp_path / "tars" / name, "w") as tar:
            for number in numbers:
                data = encode_png(picture(number))
                member = tarfile.TarInfo(f"{number}.png")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    def mix(dst, *more):
        vault = ["--vault", tmp_path / "vault", "--format", "folder"]
        return run("mix", tmp_path / "tars", tmp_path / dst, *OPTIONS, *vault, *more)

    (tmp_path / "tars").mkdir()
    write("a.tar", 1)
    write("b.tar", 2)
    assert mix("one")[0] == 0
    write("b.tar", 3)
    write("c.tar", 4)
    assert "1 new (c.tar), 1 changed (b.tar), 0 gone" in mix("one")[1]
    assert mix("one", "--update")[0] == 0
    status, said = run(
        "unmix", tmp_path / "one", tmp_path / "back", "--vault", tmp_path / "vault"
    )
    assert status == 0, said
    assert sorted(p.name for p in (tmp_path / "back").iterdir()) == [
        f"{number}.png" for number in (1, 3, 4)
    ]
    # One that held several is no file of an image.
    write("b.tar", 5, 6)
    assert mix("several")[0] == 0
    write("b.tar", 5)
    assert "--update is for folders" in mix("several", "--update")[1]


def test_an_update_looks_for_overlaps(tmp_path, photos, mix, monkeypatch):
    assert mix()[0] == 0
    change(photos)
    looked = []
    monkeypatch.setattr(
        "vmixjax.release.mix.check_overlaps", lambda *_, **__: looked.append(1)
    )
    assert mix("--update")[0] == 0
    assert looked
