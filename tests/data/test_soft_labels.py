"""A file of soft labels is checked whole, and none is taken for what it is not."""

import io
import os
import re
import zipfile

import mutants
import numpy as np
import pytest
import tensorflow_datasets as tfds
from strangers import encoded, noise, write_tar, write_tfds, write_tree

from vmixjax.data import Label, Probabilities, Raw, Text, open_source
from vmixjax.data.arrays import encode_npy, parse_npy
from vmixjax.data.formats.tfds.stored import probabilities_of
from vmixjax.data.probabilities import find_unfit
from vmixjax.data.soft_labels import origin_of, read_soft_labels, with_soft_labels
from vmixjax.errors import ImageError, RunError

NAMES = ["cat/0.png", "cat/1.png", "dog/2.png"]
ROWS = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5005]], np.float32)
GOOD = {"names": np.array(NAMES), "probabilities": ROWS, "classes": ["cat", "dog"]}


@pytest.fixture
def source(tmp_path):
    files = {name: encoded(noise(number)) for number, name in enumerate(NAMES)}
    return open_source(str(write_tree(tmp_path / "photos", files)))


def saved(path, save=np.savez, **other):
    save(path, **{**GOOD, **other})
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path, source, save):
    rows = np.asfortranarray(ROWS)
    path = saved(tmp_path / "soft.npz", save, probabilities=rows)
    labels = read_soft_labels(path)
    np.testing.assert_array_equal(labels.probabilities, ROWS)
    assert labels.classes == ("cat", "dog")
    assert dict(labels.rows) == {name: row for row, name in enumerate(NAMES)}
    soft = with_soft_labels(source, path)
    assert soft.fields.keys() == {"label", "soft_label"}
    assert origin_of(soft) == labels.origin
    assert origin_of(source) is None
    assert soft.fields["soft_label"] == Probabilities(2, ("cat", "dog"), labels.origin)
    for index in range(3):
        assert soft.name_of("train", index) == NAMES[index]
        np.testing.assert_array_equal(
            soft.read("train", index).values["soft_label"], ROWS[index]
        )


def changed(rows, value):
    rows = np.array(rows)
    rows[1, 0] = value
    return rows


BAD = {
    "other keys": ({"more": ROWS}, "holds names, probabilities, classes, more, not"),
    "pickles": ({"names": np.array(NAMES, object)}, "holds Python objects"),
    "bytes": ({"names": np.array(NAMES, "S")}, r"has names \|S9"),
    "numbers": ({"classes": np.arange(2)}, "has classes int64"),
    "columns": ({"names": np.array(NAMES)[:, None]}, "has names .* not one row"),
    "float64": ({"probabilities": ROWS.astype(float)}, "float64 .* not float32"),
    "other order": ({"probabilities": ROWS.T.copy()}, r"\(2, 3\), not float32 \(3, 2"),
    "no rows": ({"names": np.array([], "<U1")}, "other bytes than"),
    "a row less": ({"probabilities": ROWS[:2]}, r"not float32 \(3, 2\)"),
    "twice": ({"names": np.array([*NAMES[:2], NAMES[0]])}, "cat/0.png twice in its n"),
    "class twice": ({"classes": np.array(["cat", "cat"])}, "has cat twice in its cl"),
    "nan": ({"probabilities": changed(ROWS, np.nan)}, "row for cat/1.png that is no"),
    "infinite": ({"probabilities": changed(ROWS, np.inf)}, "row for cat/1.png that is"),
    "negative": ({"probabilities": changed(ROWS, -1e-3)}, "row for cat/1.png that is"),
    "not 1": ({"probabilities": changed(ROWS, 0.998)}, "row for cat/1.png that is no"),
    "others": ({"classes": np.array(["dog", "cat"])}, "dog, cat, and SRC cat, dog"),
    "no name": ({"names": np.array(["a", "b", "c"])}, "none of the 3 images of SRC"),
    "one less": ({"names": np.array([*NAMES[:2], "c"])}, "1 of the 3 .* dog/2.png"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_files_are_one_line_with_a_mend(tmp_path, source, bad):
    other, words = BAD[bad]
    path = saved(tmp_path / "soft.npz", **other)
    with pytest.raises(RunError, match=words) as caught:
        with_soft_labels(source, path)
    line = str(caught.value)
    assert line.startswith(f"--soft-labels {path}")
    assert re.search(r"[;:] (write|take|name|let)", line)
    assert "\n" not in line


def test_what_is_no_such_file_is_refused(tmp_path):
    for name, words in (("none", "does not exist"), (".", "no ordinary file")):
        with pytest.raises(RunError, match=words):
            read_soft_labels(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunError, match="no ordinary file"):
        read_soft_labels(tmp_path / "pipe")
    for one, other in (("here", "there"), ("there", "here")):
        (tmp_path / one).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        read_soft_labels(tmp_path / "here")
    for data in (b"", b"text", encode_npy(ROWS)):
        (tmp_path / "other").write_bytes(data)
        with pytest.raises(RunError, match=r"is no whole \.npz file; write it with"):
            read_soft_labels(tmp_path / "other")


def test_archives_that_inflate_are_not_inflated(tmp_path):
    header = encode_npy(np.zeros(1, np.float32))[:128]
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "bomb.npz", "w", kind) as archive:
            for key in GOOD:
                archive.writestr(f"{key}.npy", header + bytes(2**20))
        data = (tmp_path / "bomb.npz").read_bytes()
        # What it says is more than is there, or less.
        for size in (2**32 - 2, 2**10):
            said = data.replace(
                (128 + 2**20).to_bytes(4, "little"), size.to_bytes(4, "little")
            )
            (tmp_path / "said.npz").write_bytes(said)
            with pytest.raises(RunError, match="--soft-labels"):
                read_soft_labels(tmp_path / "said.npz")


def test_mutants_are_refused_or_read_as_they_are(tmp_path):
    """In a line each; those that are read hold nothing that is not fit."""
    path = saved(tmp_path / "soft.npz")
    good, refused = path.read_bytes(), []
    for number in range(300):
        dice = mutants.chance("soft labels", number)
        path.write_bytes(mutants.mutate_bytes(good, dice, good[::-1]))
        try:
            labels = read_soft_labels(path)
        except RunError as error:
            refused.append(str(error))
            continue
        assert find_unfit(labels.probabilities) is None
        assert labels.probabilities.shape == (len(labels.rows), len(labels.classes))
    assert len(refused) > 200
    assert all(line.startswith("--soft-labels") for line in refused)


def test_headers_say_no_more_than_is_there():
    good = encode_npy(np.array([0.5, 0.5], np.float32))
    np.testing.assert_array_equal(parse_npy(good), np.float32([0.5, 0.5]))
    np.testing.assert_array_equal(np.load(io.BytesIO(good)), np.float32([0.5, 0.5]))
    for old, new in (
        (b"(2,)", b"(3,)"),
        (b"(2,), }     ", b"(2**40,), } "),
        (b"(2,), }           ", b"(-1, -2), }       "),
        (b"'<f4'", b"'|O' "),
        (b"'<f4'", b"'<U0'"),
        (b"{'descr'", b"{-------"),
        (b"\x93NUMPY", b"\x93NUMPX"),
        (b"\x01\x00v\x00", b"\x03\x00v\x00"),
    ):
        assert old in good
        with pytest.raises(ValueError, match=r"NumPy array|takes|objects"):
            parse_npy(good.replace(old, new))
    with pytest.raises(ValueError, match="other bytes"):
        parse_npy(good + b"x")


def test_mutants_of_arrays_are_refused_or_as_large_as_they_say():
    good, refused = encode_npy(np.array([0.5, 0.5], np.float32)), 0
    for number in range(500):
        dice = mutants.chance("arrays", number)
        content = mutants.mutate_bytes(good, dice, good[::-1])
        try:
            assert parse_npy(content).nbytes < len(content)
        except ValueError:
            refused += 1
    assert refused > 250


def pets(folder, value=(0.5, 0.5), **feature):
    feature = {"shape": (2,), "dtype": np.float32, **feature}
    features = {
        "image": tfds.features.Image(shape=(8, 8, 3)),
        "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        "soft_label": tfds.features.Tensor(**feature),
    }
    image = io.BytesIO(encoded(noise(0)))
    value = np.array(value, feature["dtype"])
    write_tfds(folder, features, [{"image": image, "label": 1, "soft_label": value}])
    return f"tfds:{folder}"


def test_tfds_tells_them_by_their_name_and_form(tmp_path):
    found = open_source(pets(tmp_path / "pets"))
    assert found.fields == {
        "label": Label(("cat", "dog")),
        "soft_label": Probabilities(2, ("cat", "dog")),
    }
    bare = open_source(f"tfds:{tmp_path / 'pets'}", drop=["label"])
    assert bare.fields == {"soft_label": Probabilities(2)}
    for name, other in {
        "double": {"dtype": np.float64},
        "any": {"shape": (None,)},
        "square": {"shape": (2, 1), "value": [[0.5], [0.5]]},
    }.items():
        place = pets(tmp_path / name, **other)
        with pytest.raises(RunError, match="soft_label may show what"):
            open_source(place)
        kept = open_source(place, keep=["soft_label"])
        assert isinstance(kept.fields["soft_label"], Raw)
    packed = tfds.features.Tensor(shape=(2,), dtype=np.float32, encoding="zlib")
    assert probabilities_of("soft_label", packed) is None
    for number, value in enumerate(([2, -1], [np.nan, 1], [0.4, 0.4])):
        bad = open_source(pets(tmp_path / f"bad-{number}", value))
        with pytest.raises(ImageError, match="has no soft_label as its data set"):
            bad.read("train", 0)


def tar(path, *contents, suffix="soft_label.npy"):
    members = []
    for number, content in enumerate(contents):
        members.append((f"{number}.png", encoded(noise(number))))
        members += [(f"{number}.{suffix}", content)] * (content is not None)
    return str(write_tar(path, members))


def test_tars_tell_them_by_their_name(tmp_path):
    good = encode_npy(np.float32([0.5, 0.5]))
    wrong = encode_npy(np.float32([0.5, 0.5, 0]))
    path = tar(tmp_path / "a.tar", good, wrong, None, encode_npy(np.float64([1, 0])))
    source = open_source(path)
    assert source.fields == {"soft_label": Probabilities(2)}
    np.testing.assert_array_equal(source.values("train", 0)["soft_label"], [0.5, 0.5])
    assert [source.name_of("train", n) for n in range(4)] == ["0", "1", "2", "3"]
    for index in (1, 3):
        with pytest.raises(
            ImageError, match=rf": {index} has a \.soft_label that is no"
        ):
            source.read("train", index)
    with pytest.raises(ImageError, match=r"2 has no .soft_label; add it, or drop"):
        source.read("train", 2)
    assert not open_source(path, drop=["soft_label"]).fields
    for number, first in enumerate((None, b"text", good[:-1])):
        with pytest.raises(RunError, match="or drop all with --drop soft_label"):
            open_source(tar(tmp_path / f"bad-{number}.tar", first, good))
    # Arrays of other names are what they were: texts, if they are asked for.
    other = tar(tmp_path / "b.tar", good, suffix="mask.npy")
    with pytest.raises(RunError, match=r"members .mask.npy, which may show"):
        open_source(other)
    assert open_source(other, keep=["mask.npy"]).fields == {"mask.npy": Text()}
