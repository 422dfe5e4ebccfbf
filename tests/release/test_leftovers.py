"""What a run leaves behind stands in nobody's way, and no two runs meet."""

import subprocess
import sys

import pytest
from small_folders import picture

from vmixjax.cli import main
from vmixjax.data.codecs.png import write_png
from vmixjax.data.writing import LOCK, WORK
from vmixjax.errors import RunError
from vmixjax.release.exclusive import exclusive

OPTIONS = ["--tile-size", "8", "--shard-size", "4"]


def files(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        write_png(folder / f"{number}.png", picture(number))
    return folder


@pytest.fixture
def mix(tmp_path, capsys):
    """Mixes; gives the status, and what was said."""

    def run(src, *more, dst="mixed"):
        capsys.readouterr()
        status = main(["mix", str(src), str(tmp_path / dst), *OPTIONS, *map(str, more)])
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path, mix, kind, kept):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "0.png").write_bytes(b"no image")
    more = ["--format", kind, *(["--vault", tmp_path / "vault"] if kept else [])]
    status, said = mix(bad, *more)
    assert status == 2
    assert "could be mixed" in said
    assert not (tmp_path / "mixed").exists()
    # Mended, it has another number of images, of other sizes.
    for number in range(2):
        write_png(bad / f"{number}.png", picture(number))
    assert mix(bad, *more)[0] == 0


@pytest.mark.parametrize("kept", [True, False])
def test_a_beginning_alone_stops_nobody(tmp_path, mix, photos, monkeypatch, kept):
    more = ["--vault", tmp_path / "vault"] if kept else []

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vmixjax.release.job.ReleaseJob.mix", killed)
        # Who is killed tidies nothing up.
        patch.setattr("vmixjax.release.journal.Journal.leave", lambda _: None)
        assert mix(photos, *more)[0] == 130
    assert files(tmp_path / "mixed") == [f"{WORK}/begun.json", f"{WORK}/{LOCK}"]
    (photos / "0.png").unlink()
    assert mix(photos, *more, "--strength", "0.5")[0] == 0
    assert len(files(tmp_path / "mixed")) == 2


def test_what_was_there_is_not_removed(tmp_path, mix):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "0.png").write_bytes(b"no image")
    (tmp_path / "mixed").mkdir()
    assert mix(bad)[0] == 2
    assert files(tmp_path / "mixed") == []


def test_two_runs_do_not_work_on_one_folder(tmp_path, mix, photos, capsys):
    vault = ["--vault", str(tmp_path / "vault")]
    with exclusive(tmp_path / "mixed"):
        status, said = mix(photos, *vault)
        assert status == 2
        assert "another run is working on DST" in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "mixed").exists()
    assert mix(photos, *vault)[0] == 0
    # So with one that is finished, and one that is restored to.
    with exclusive(tmp_path / "mixed"):
        assert mix(photos, *vault)[0] == 2
    back = ["unmix", str(tmp_path / "mixed"), str(tmp_path / "back"), *vault]
    with exclusive(tmp_path / "back"):
        assert main([*back, "--overwrite"]) == 2
        assert "another run is working on DST" in capsys.readouterr().err
    assert main(back) == 0
    assert files(tmp_path / "back") == ["0.png", "1.png"]


def test_a_lock_ends_with_its_process(tmp_path):
    hold = (
        "import sys, time, pathlib\n"
        "from vmixjax.release.exclusive import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "mixed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(RunError, match="another run"),
            exclusive(tmp_path / "mixed"),
        ):
            pass
        other.kill()
        other.wait()
    with exclusive(tmp_path / "mixed"):
        assert files(tmp_path / "mixed") == [f"{WORK}/{LOCK}"]
    assert not (tmp_path / "mixed" / WORK).exists()


def test_a_lock_follows_no_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "mixed" / WORK).mkdir(parents=True)
    (tmp_path / "mixed" / WORK / LOCK).symlink_to(victim)
    with pytest.raises(RunError, match="is a link"), exclusive(tmp_path / "mixed"):
        pass
    assert victim.read_bytes() == b"mine"
