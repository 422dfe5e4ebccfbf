import json
import math
import os
import re
import stat
import subprocess
import sys
import time

import numpy as np
import oracle
import pytest
from PIL import Image

import vmixjax
from vmixjax.cli import main
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import write_png
from vmixjax.release.vault import open_vault

COMMAND = [sys.executable, "-m", "vmixjax.cli"]
SMALL = ["--tile-size", "8"]


@pytest.fixture
def photos(tmp_path):
    """A folder of small pictures in two classes, and what they hold."""
    folder = tmp_path / "photos"
    images = {
        "cats/one.png": oracle.smooth_image(24, 40),
        "cats/two.png": oracle.smooth_image(20, 33, 1, np.uint16),
        "dogs/one.png": oracle.smooth_image(24, 40, 3)[::-1],
        "top.png": oracle.smooth_image(16, 16, 2),
    }
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(folder / name, image)
    return folder, images


def files(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def jpeg(path, image, **options):
    Image.fromarray(image).save(path, format="JPEG", quality=95, **options)


@pytest.mark.parametrize(
    ("channels", "fit"), [("independent", "pad"), ("shared", "pad"), ("joint", "crop")]
)
def test_mix_and_unmix_bring_back_what_was_read(
    photos, tmp_path, capsys, fit, channels
):
    folder, images = photos
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = [*SMALL, "--fit", fit, "--channels", channels, "--strength", "0.5"]
    options.append("--keep-names")
    arguments = [str(folder), str(mixed), "--vault", str(vault), *options]
    assert main(["mix", *arguments]) == 0
    assert files(mixed) == sorted([*images, "release.json"])
    for name, image in images.items():
        changed = read_image(mixed / name)
        assert changed.dtype == image.dtype
        rows, columns = np.minimum(image.shape[:2], changed.shape[:2])
        assert (changed[:rows, :columns] != image[:rows, :columns]).mean() > 0.3
    assert stat.S_IMODE((vault / "vault.sqlite").stat().st_mode) == 0o600
    assert "4 mixed; mean VFE" in capsys.readouterr().out

    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 0
    assert files(back) == sorted(images)
    for name, image in images.items():
        np.testing.assert_array_equal(read_image(back / name), image)

    # A file is known by its pixels: renamed, alone, it comes back just as well.
    moved = tmp_path / "moved" / "x.png"
    moved.parent.mkdir()
    (mixed / "cats/one.png").rename(moved)
    alone = tmp_path / "alone"
    assert main(["unmix", str(moved), str(alone), "--vault", str(vault)]) == 0
    np.testing.assert_array_equal(
        read_image(alone / "cats/one.png"), images["cats/one.png"]
    )


def test_names_become_numbers_and_come_back(photos, tmp_path):
    folder, images = photos
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    assert main(["mix", str(folder), str(mixed), "--vault", str(vault), *SMALL]) == 0
    *names, manifest = files(mixed)
    assert manifest == "release.json"
    assert sorted(name[-9:] for name in names) == [f"{i:05}.png" for i in range(4)]
    assert sorted(name[:-9] for name in names) == ["", "cats/", "cats/", "dogs/"]
    one = ["unmix", str(mixed), str(back), "--vault", str(vault), "--id"]
    (dog,) = (name for name in names if name.startswith("dogs/"))
    for image in ("cats/two.png", dog):
        assert main([*one, image, "--overwrite"]) == 0
    assert files(back) == ["cats/two.png", "dogs/one.png"]
    for name in files(back):
        np.testing.assert_array_equal(read_image(back / name), images[name])
    assert main([*one, "nobody.png", "--overwrite"]) == 2


def test_the_wrong_vault_or_a_changed_file_is_named(photos, tmp_path, capsys):
    folder, _ = photos
    mixed, vault, other = (tmp_path / name for name in ("mixed", "vault", "other"))
    for where, keep in ((mixed, vault), (tmp_path / "again", other)):
        options = ["--vault", str(keep), "--keep-names", *SMALL]
        assert main(["mix", str(folder), str(where), *options]) == 0
    changed = read_image(mixed / "top.png")
    changed[0, 0, 0] ^= 1
    write_png(mixed / "top.png", changed)
    back = tmp_path / "back"
    capsys.readouterr()
    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 1
    said = capsys.readouterr().err
    assert "top.png was not mixed with this vault, or was changed since" in said
    assert files(back) == ["cats/one.png", "cats/two.png", "dogs/one.png"]
    nothing = tmp_path / "nothing"
    assert main(["unmix", str(mixed), str(nothing), "--vault", str(other)]) == 1
    assert not nothing.exists()


def test_without_a_vault_every_run_mixes_anew(photos, tmp_path):
    folder, _ = photos
    for name in ("a", "b"):
        assert main(["mix", str(folder / "top.png"), str(tmp_path / name), *SMALL]) == 0
    a, b = (read_image(tmp_path / name / "00000.png") for name in "ab")
    assert (a != b).any()


def test_with_a_vault_the_same_work_gives_the_same_bytes(photos, tmp_path):
    folder, _ = photos
    vault = ["--vault", str(tmp_path / "vault"), *SMALL]
    for name in ("a", "b"):
        assert main(["mix", str(folder), str(tmp_path / name), *vault]) == 0
    for name in files(tmp_path / "a"):
        ours, theirs = ((tmp_path / x / name).read_bytes() for x in "ab")
        assert ours == theirs


@pytest.mark.parametrize(
    ("options", "share"),
    [([], 1.0), (["--strength", "0"], 0.0), (["--strength", "0.25"], 0.25)],
)
def test_strength_is_a_place_in_the_reachable_range(tmp_path, capsys, options, share):
    source, mixed = tmp_path / "in.png", tmp_path / "mixed"
    image = oracle.smooth_image(128, 128)
    write_png(source, image)
    config = vmixjax.MixConfig(ladder=((4, 1), (8, 1), (16, 1), (32, 1)))
    options = [*options, "--ladder", *(f"{s}:{b}" for s, b in config.ladder)]
    assert main(["mix", str(source), str(mixed), "--json", *options]) == 0
    result = json.loads(capsys.readouterr().out)["vfe"]
    lowest, highest = map(float, vmixjax.vfe_range(image, config))
    target = lowest + share * (highest - lowest)
    assert result["before"]["mean"] == pytest.approx(float(vmixjax.vfe(image, 32)))
    after = read_image(mixed / "00000.png")
    assert result["after"]["mean"] == pytest.approx(float(vmixjax.vfe(after, 32)))
    # A plan ends with a whole step; this image of 16 tiles has large ones.
    assert abs(result["after"]["mean"] - target) < 0.15 * (highest - lowest)
    assert (after != image).mean() > 0.5


def test_a_ladder_has_as_many_rungs_as_are_named(photos, tmp_path):
    folder, _ = photos
    vault = tmp_path / "vault"
    ladder = ["--ladder", "4:2", "4:1", "8:1", "--vault", str(vault)]
    ladder += ["--strength", "0.5"]
    out = tmp_path / "m"
    assert main(["mix", *ladder, *SMALL, str(folder / "top.png"), str(out)]) == 0
    with open_vault(vault) as opened:
        entry = opened.find(read_image(out / "00000.png"), "00000.png")
    assert entry.config == vmixjax.MixConfig(8, ((4, 2), (4, 1), (8, 1)))


def test_a_target_out_of_reach_is_said(photos, tmp_path, capsys):
    folder, _ = photos
    options = ["--target-vfe", "1e6", *SMALL]
    assert main(["mix", str(folder), str(tmp_path / "m"), *options]) == 0
    assert "4 of them cannot reach the VFE asked for" in capsys.readouterr().out


def test_masks_leave_black_tiles_as_they_are(tmp_path, capsys):
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    for folder in (photos / "a", masks / "a"):
        folder.mkdir(parents=True)
    image = oracle.smooth_image(16, 24)
    mask = np.zeros((16, 24), np.uint8)
    mask[:8, 8:16] = 200
    mask[12, 20] = 1
    write_png(photos / "a/x.png", image)
    write_png(photos / "a/none.png", image)
    write_png(photos / "a/small.png", image)
    Image.fromarray(mask).save(masks / "a/x.bmp")
    Image.fromarray(mask[:8]).save(masks / "a/small.bmp")
    mixed = tmp_path / "mixed"
    arguments = [str(photos), str(mixed), "--sensitivity", str(masks), *SMALL]
    arguments.append("--keep-names")
    assert main(["mix", *arguments]) == 1
    said = capsys.readouterr()
    assert re.search(r"none.png has no masks named .*none\.\*; give it", said.err)
    assert re.search(r"small.bmp is 8 x 24, but its image is 16 x 24", said.err)
    assert "1 of them with tiles left as they are" in said.out
    after = read_image(mixed / "a/x.png")
    kept = np.ones((16, 24), bool)
    kept[:8, 8:16] = kept[8:, 16:] = False
    assert (after[kept] == image[kept]).all()
    assert (after[~kept] != image[~kept]).mean() > 0.5
    assert files(mixed) == ["a/x.png", "release.json"]


def test_bad_files_are_named_and_the_rest_goes_on(photos, tmp_path, capsys):
    folder, images = photos
    (folder / "notes.txt").write_text("buy milk")
    (folder / "empty.jpg").touch()
    whole = (folder / "cats/one.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    outside = tmp_path / "outside.png"
    write_png(outside, images["top.png"])
    (folder / "link.png").symlink_to(outside)
    bad = ["cut.png", "empty.jpg", "link.png", "moving.webp", "notes.txt"]
    mixed = tmp_path / "mixed"
    options = ["--json", "--keep-names", *SMALL]
    assert main(["mix", str(folder), str(mixed), *options]) == 1
    said = capsys.readouterr()
    for name in bad:
        lines = [line for line in said.err.splitlines() if f"photos/{name} " in line]
        assert len(lines) == 1, name
        assert "vmixjax: skipped: " in lines[0]
    assert "5 images skipped, 4 done" in said.err
    assert "Traceback" not in said.err
    result = json.loads(said.out)
    assert (result["images"], result["skipped"]) == (4, 5)
    assert len(result["left_out"]) == len(bad)
    assert all(any(name in line for line in result["left_out"]) for name in bad)
    # What is handed out says how many there were, and nothing more of them.
    handed_out = (mixed / "release.json").read_text()
    assert not any(name.split(".")[0] in handed_out for name in bad)
    assert files(mixed) == sorted([*images, "release.json"])

    strict = tmp_path / "strict"
    assert main(["mix", str(folder), str(strict), "--strict", *SMALL]) == 2
    said = capsys.readouterr().err
    assert sum(f"photos/{name} " in said for name in bad) == 1
    assert not strict.exists()


def test_metadata_and_file_times_stay_behind(tmp_path):
    folder, mixed = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0132], exif[0x0112] = "SecretCam", "1999:01:01 00:00:00", 6
    jpeg(
        folder / "x.jpg",
        oracle.smooth_image(16, 24),
        exif=exif,
        icc_profile=b"SecretProfile",
        comment=b"SecretComment",
    )
    os.utime(folder / "x.jpg", (1e9, 1e9))
    assert main(["mix", str(folder), str(mixed), *SMALL]) == 0
    data = (mixed / "00000.png").read_bytes()
    assert b"Secret" not in data
    assert b"1999" not in data
    chunks = set(re.findall(rb"(?=.{4}(IHDR|IDAT|IEND|eXIf|iCCP|tEXt|tIME))", data))
    assert chunks == {b"IHDR", b"IDAT", b"IEND"}
    assert read_image(mixed / "00000.png").shape == (24, 16, 3)
    assert abs((mixed / "00000.png").stat().st_mtime - time.time()) < 1000


def test_equal_output_names_both_survive(tmp_path):
    folder, mixed = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_png(folder / "x.png", oracle.smooth_image(8, 8))
    jpeg(folder / "x.jpg", oracle.smooth_image(8, 16))
    assert main(["mix", str(folder), str(mixed), "--keep-names", *SMALL]) == 0
    assert files(mixed) == ["release.json", "x.jpg.png", "x.png.png"]
    assert read_image(mixed / "x.jpg.png").shape == (8, 16, 3)


def test_what_is_in_the_way_is_kept(photos, tmp_path, capsys):
    folder, _ = photos
    mixed = tmp_path / "mixed"
    arguments = ["mix", str(folder), str(mixed), *SMALL]
    assert main(arguments) == 0
    before = {name: (mixed / name).read_bytes() for name in files(mixed)}
    for more, words in (
        ([], "whose secret is forgotten"),
        (["--vault", str(tmp_path / "v")], "with another secret"),
        (["--strength", "0.5"], "another strength: 1.0, not 0.5"),
    ):
        capsys.readouterr()
        assert main([*arguments, *more]) == 2
        assert words in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert main(["mix", str(folder), str(other), *SMALL]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert before == {name: (mixed / name).read_bytes() for name in files(mixed)}
    assert files(other) == ["mine.txt"]


def test_vfe_measures(photos, capsys):
    folder, images = photos
    assert main(["vfe", str(folder), "--json", *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)["images"]
    assert len(found) == 4
    config = vmixjax.MixConfig(8, ((8, 1),))
    top = next(row for row in found if row["path"].endswith("top.png"))
    assert (top["height"], top["width"], top["channels"]) == (16, 16, 2)
    assert top["vfe"] == pytest.approx(oracle.vfe_map(images["top.png"], 8).mean())
    expected = vmixjax.vfe_range(images["top.png"], config)
    assert [top["lowest"], top["highest"]] == [float(x) for x in expected]
    assert main(["vfe", str(folder / "top.png"), *SMALL]) == 0
    assert "16 x 16 x 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mix", "{in}", "{out}", "--strength", "-0.1"], "--strength must be 0 to 1"),
        (["mix", "{in}", "{out}", "--strength", "nan"], "--strength must be 0 to 1"),
        (["mix", "{in}", "{out}", "--target-vfe", "nan"], "--target-vfe must be"),
        (["mix", "{in}", "{out}", "--target-vfe", "-3"], "--target-vfe must be"),
        (
            ["mix", "{in}", "{out}", "--strength", "1", "--target-vfe", "9"],
            "exclude each other",
        ),
        (["mix", "{in}", "{out}", "--ladder", "8:3"], "--ladder: .*block of 3"),
        (["mix", "{in}", "{out}", "--ladder", "12:1"], "--ladder: .*region of 12"),
        (["mix", "{in}", "{out}", "--ladder", "8"], "'8' is not REGION:BLOCK"),
        (["mix", "{in}", "{out}", "--tile-size", "0"], "--tile-size must be 2 or more"),
        (["mix", "{in}", "{out}", "--tile-size", "1"], "--tile-size must be 2 or more"),
        (["mix", "{in}", "{out}", "--sensitivity", "{out}"], "not a folder of masks"),
        (["mix", "{in}", "{out}", "--vault", "{out}"], "--vault .* inside DST"),
        (["mix", "{in}", "{out}", "--vault", "{out}/a/b"], "--vault .* inside DST"),
        (["mix", "{in}", "{in}/out"], "DST .* lies inside SRC"),
        (["mix", "{in}", "{in}"], "DST .* lies inside SRC"),
        (["mix", "{in}/cats", "{in}"], "SRC .* lies inside DST"),
        (["mix", "{in}/nothing", "{out}"], "SRC .* does not exist"),
        (["mix", "{in}", "{in}/top.png"], "DST .* is a file"),
        (["mix", "{in}", "{out}", "--secret-file", "{in}/top.png"], "needs 32 random"),
        (["mix", "{in}", "{out}", "--drop", "x"], "--drop x: a folder of images has"),
        (["mix", "{in}", "{out}", "--format", "jpeg"], "lossy formats would spoil"),
        (["mix", "{in}", "{out}", "--splits", "test"], "--splits test: .* has train"),
        (["mix", "{in}", "{out}", "--shard-size", "0"], "--shard-size must be 1"),
        (["mix", "{in}", "{out}", "--workers", "0"], "--workers must be 1"),
        (["mix", "{in}", "{out}", "--", "--runner=X"], "only --engine beam"),
        (["mix", "{in}", "{out}", "--engine", "beam"], "--engine beam needs a secret"),
        (["unmix", "{in}", "{out}", "--vault", "{out}"], "holds no vault"),
        (["verify", "{in}"], "is no release, or not a finished one"),
    ],
)
def test_refusals_are_one_line_and_nothing_is_written(
    photos, tmp_path, capsys, arguments, words
):
    folder, _ = photos
    out = tmp_path / "out"
    (folder / "top.png").chmod(0o600)
    before = files(tmp_path)
    filled = [
        a.replace("{in}", str(folder)).replace("{out}", str(out)) for a in arguments
    ]
    assert main(filled) == 2
    said = capsys.readouterr()
    assert re.search(words, said.err)
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert files(tmp_path) == before
    assert not out.exists()


def test_a_folder_of_nothing_is_said(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert main(["mix", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    assert "holds no files" in capsys.readouterr().err


def test_secrets_are_nowhere_but_in_the_vault(photos, tmp_path, capsys):
    folder, _ = photos
    mixed, vault = tmp_path / "mixed", tmp_path / "vault"
    main(["mix", str(folder), str(mixed), "--vault", str(vault), "--json", *SMALL])
    with open_vault(vault) as opened:
        secret = opened.secret
    said = capsys.readouterr()
    everything = (said.out + said.err).encode()
    everything += b"".join((mixed / name).read_bytes() for name in files(mixed))
    for form in (secret, secret.hex().encode(), repr(secret).encode()[2:-1]):
        assert form not in everything


@pytest.mark.parametrize(
    "command", [[], ["vfe"], ["mix"], ["unmix"], ["verify"], ["audit"], ["demo"]]
)
def test_help_ends_with_an_example_and_loads_no_jax(command):
    script = (
        "import sys, runpy\n"
        "sys.argv = ['vmixjax', *sys.argv[1:], '--help']\n"
        "try: runpy.run_module('vmixjax.cli', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "assert 'jax' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1]
    assert last.startswith(" ".join(["Example: vmixjax", *command]))


def test_help_that_nobody_reads_to_the_end_is_no_error():
    read, write = os.pipe()
    os.close(read)
    # As people have it: what is printed waits until there is enough.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    run = subprocess.run(
        [*COMMAND, "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env=environment,
    )
    os.close(write)
    assert run.stderr == b""


def test_a_usage_error_names_the_option(photos):
    folder, _ = photos
    run = subprocess.run(
        [*COMMAND, "mix", folder, folder, "--channels", "all"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "--channels" in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


def test_default_is_the_strongest_plan(tmp_path, capsys):
    # A flat tile gains nothing by a stronger level, but gets it all the same.
    image = oracle.smooth_image(32, 64)
    image[:, 32:] = 128
    write_png(tmp_path / "x.png", image)
    vault = tmp_path / "vault"
    arguments = [str(tmp_path / "x.png"), str(tmp_path / "m"), "--vault", str(vault)]
    assert main(["mix", *arguments]) == 0
    with open_vault(vault) as opened:
        entry = opened.find(read_image(tmp_path / "m/00000.png"), "00000.png")
    assert entry.config == vmixjax.MixConfig(ladder=((32, 1),))
    assert (entry.levels == 1).all()
    assert not math.isnan(entry.height)
