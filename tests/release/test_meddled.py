"""Whoever holds a release changes it, and all sums with it: the vault tells."""

import base64
import itertools
import json
import re
import zlib

import meddler
import numpy as np
import pytest
from meddler import COUNT, KINDS, OPTIONS, png, refused, resum, run
from tensorflow_datasets.proto import tf_example_pb2

HIDDEN = np.random.default_rng(0).bytes(8192)
STOLEN = base64.b64encode(meddler.png([(b"IHDR", b"an original")]) * 99)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release in each format, with vaults."""
    return meddler.write_releases(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copied(made, tmp_path):
    """Copies of a release and its vault, to spoil."""

    return lambda kind: meddler.copy(made, kind, tmp_path, kind)


def found_wrong(capsys, *arguments):
    """Verify says so; a line that names nothing else may come instead."""
    status, out, err = run(capsys, "verify", *arguments)
    assert status in (1, 2), out
    if status == 1:
        assert re.search("^WRONG: ", out, re.MULTILINE)
        assert not re.search("^good$", out, re.MULTILINE)
    else:
        assert len(meddler.complaints(err)) == 1
    return out + err


def another(samples):
    """Two samples of different classes, in different shards."""
    first = samples[0]
    return first, next(
        one for one in samples if one.label != first.label and one.shard != first.shard
    )


def labels_changed(samples):
    one, other = another(samples)
    one.label, other.label = other.label, one.label


def one_label_changed(samples):
    one, other = another(samples)
    other.label = one.label


def half_removed(samples):
    del samples[COUNT // 2 :]


def every_other_removed(samples):
    del samples[::2]


def swapped_between_classes(samples):
    one, other = another(samples)
    one.image, other.image = other.image, one.image


def swapped_within_a_class(samples):
    one, other = [one for one in samples if one.label == samples[0].label][:2]
    one.image, other.image = other.image, one.image


def one_twice(samples):
    samples[1].image = samples[0].image


def shards_swapped(samples):
    half = COUNT // 2
    for one, other in zip(samples[:half], samples[half:], strict=True):
        one.image, other.image = other.image, one.image
        one.label, other.label = other.label, one.label


MOVED = [
    labels_changed,
    one_label_changed,
    half_removed,
    every_other_removed,
    swapped_between_classes,
    swapped_within_a_class,
    one_twice,
    shards_swapped,
]
"""All that is there was made by the owner, and is where or what it was not."""


@pytest.mark.parametrize("meddle", MOVED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_moved_or_removed_is_found(copied, capsys, kind, meddle):
    mixed, vault = copied(kind)
    samples = meddler.load(mixed, kind)
    meddle(samples)
    meddler.store(mixed, kind, samples)
    # To who has no vault it is a release like any other: so thorough was the hand.
    assert run(capsys, "verify", mixed)[0] == 0
    found_wrong(capsys, mixed, "--vault", vault)


def test_names_of_classes_that_were_exchanged_are_found(copied, capsys):
    mixed, vault = copied("tfds")
    path = mixed / "label.labels.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    resum(mixed)
    found_wrong(capsys, mixed, "--vault", vault)


def behind_the_stream(image):
    return png(
        (name, body + HIDDEN if name == b"IDAT" else body)
        for name, body in meddler.chunks(image)
    )


def in_a_second_idat(image):
    header, body, end = meddler.chunks(image)
    return png([header, body, (b"IDAT", HIDDEN), end])


def as_more_rows(image):
    header, (name, body), end = meddler.chunks(image)
    rows = zlib.decompress(body) + HIDDEN
    return png([header, (name, zlib.compress(rows)), end])


def behind_the_end(image):
    return image + HIDDEN


def in_the_end(image):
    header, body, (name, _) = meddler.chunks(image)
    return png([header, body, (name, HIDDEN)])


def in_a_chunk(image):
    header, body, end = meddler.chunks(image)
    return png([header, (b"zzZz", HIDDEN), body, end])


HIDING = [
    behind_the_stream,
    in_a_second_idat,
    as_more_rows,
    behind_the_end,
    in_the_end,
    in_a_chunk,
]


@pytest.mark.parametrize("hide", HIDING)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_in_an_image_is_found(copied, capsys, kind, hide):
    mixed, vault = copied(kind)
    samples = meddler.load(mixed, kind)
    samples[-1].image = hide(samples[-1].image)
    meddler.store(mixed, kind, samples)
    found_wrong(capsys, mixed)
    found_wrong(capsys, mixed, "--vault", vault)


def field(number, value):
    """One that is no part of a message's description, in its bytes."""
    key = number << 3 | 2
    length = len(value)
    assert key < 128
    assert 128 <= length < 2**14
    return bytes([key, length & 127 | 128, length >> 7]) + value


def unknown_field(sample):
    sample.behind = field(15, STOLEN)


def unknown_field_within(sample):
    # Features, which is field 1 of an Example, with an unknown field of its own.
    sample.behind = field(1, field(15, STOLEN))


def overwritten_feature(sample):
    # Of two features of the same name readers see the last.
    hidden = tf_example_pb2.Example()
    hidden.features.feature["image"].bytes_list.value.append(STOLEN)
    sample.before = hidden.SerializeToString()


def undeclared(sample):
    sample.more["zz"] = STOLEN


@pytest.mark.parametrize(
    "add", [undeclared, unknown_field, unknown_field_within, overwritten_feature]
)
def test_what_features_do_not_declare_is_found(copied, capsys, add):
    mixed, vault = copied("tfds")
    samples = meddler.load(mixed, "tfds")
    add(samples[0])
    meddler.store(mixed, "tfds", samples)
    found_wrong(capsys, mixed)
    found_wrong(capsys, mixed, "--vault", vault)


def test_a_record_behind_the_last_is_found(copied, capsys):
    mixed, vault = copied("tfds")
    path = next(mixed.glob("*array_record-00000*"))
    records = meddler.read_records(path)
    meddler.write_records(path, [*records, STOLEN])
    resum(mixed)
    found_wrong(capsys, mixed)
    found_wrong(capsys, mixed, "--vault", vault)


def test_bytes_behind_the_last_record_are_found(copied, capsys):
    mixed, vault = copied("tfds")
    path = next(mixed.glob("*array_record-00000*"))
    path.write_bytes(path.read_bytes() + HIDDEN)
    resum(mixed)
    found_wrong(capsys, mixed, "--vault", vault)


@pytest.mark.parametrize("place", ["member", "members", "another", "end", "filling"])
def test_what_a_tar_does_not_declare_is_found(copied, capsys, place):
    mixed, vault = copied("webdataset")
    samples = meddler.load(mixed, "webdataset")
    if place == "members":
        for one in samples:
            one.more["zz"] = STOLEN
        meddler.store(mixed, "webdataset", samples)
    path = mixed / "train-000000.tar"
    samples = [one for one in samples if one.shard == 0]
    if place == "member":
        samples[0].more["zz"] = STOLEN
    data = meddler.tar(samples)
    if place == "another":
        more = meddler.member("zz/notes", STOLEN, type=b"5")
        data = more + data
    elif place == "end":
        data += HIDDEN
    elif place == "filling":
        # The class, one digit, is filled up to a block.
        start = data.index(b".cls") // 512 * 512 + 512
        data = data[: start + 12] + HIDDEN[:500] + data[start + 512 :]
    path.write_bytes(data)
    resum(mixed)
    if place in ("member", "members", "end"):
        found_wrong(capsys, mixed)
    found_wrong(capsys, mixed, "--vault", vault)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_added_to_the_manifest_is_found(copied, capsys, kind):
    mixed, vault = copied(kind)
    (mixed / "notes.txt").write_bytes(STOLEN)

    def add(manifest):
        next(meddler.digests(manifest))["notes.txt"] = meddler.sha256(
            mixed / "notes.txt"
        )

    meddler.change_json(mixed / "release.json", add)
    found_wrong(capsys, mixed, "--vault", vault)


def test_a_description_that_tells_more_is_found(copied, capsys):
    mixed, vault = copied("tfds")

    def add(info):
        info["citation"] = STOLEN.decode()

    meddler.change_json(mixed / "dataset_info.json", add)
    resum(mixed)
    found_wrong(capsys, mixed, "--vault", vault)


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_the_manifest_counts(copied, capsys, kind):
    mixed, vault = copied(kind)
    path = mixed / "release.json"
    manifest = json.loads(path.read_text())
    for place in meddler.nodes(manifest):
        path.write_text(json.dumps(meddler.put(manifest, place, "other")))
        found_wrong(capsys, mixed, "--vault", vault)
    path.write_text(json.dumps({**manifest, "more": STOLEN.decode()}))
    found_wrong(capsys, mixed, "--vault", vault)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("meddle", [labels_changed, half_removed])
def test_what_was_meddled_with_is_not_taken_for_done(
    made, copied, capsys, kind, meddle
):
    mixed, vault = copied(kind)
    kept = ["--vault", vault, "--format", kind]
    arguments = ["mix", made / "photos", mixed, *OPTIONS, *kept]
    assert run(capsys, *arguments)[0] == 0
    samples = meddler.load(mixed, kind)
    meddle(samples)
    meddler.store(mixed, kind, samples)
    refused(capsys, *arguments)


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_touched_is_good(made, tmp_path, capsys, kind, locked):
    vault = ["--vault", tmp_path / "vault"]
    if locked:
        meddler.private(tmp_path / "words", b"open sesame\n")
        vault += ["--vault-passphrase-file", tmp_path / "words"]
    # One vault may serve several releases.
    for number, more in enumerate(([], ["--keep-names"])):
        mixed, back = tmp_path / f"mixed-{number}", tmp_path / f"back-{number}"
        more = [*more, *OPTIONS, *vault, "--format", kind]
        assert run(capsys, "mix", made / "photos", mixed, *more)[0] == 0
        assert run(capsys, "verify", mixed)[0] == 0
        assert run(capsys, "unmix", mixed, back, *vault)[0] == 0
    for number in range(2):
        mixed = tmp_path / f"mixed-{number}"
        status, out, _ = run(capsys, "verify", mixed, *vault)
        assert (status, out.splitlines()[-1]) == (0, "good"), out


def restored(folder):
    return [meddler.pixels(path) for path in sorted(folder.rglob("*.png"))]


def test_names_that_were_exchanged_in_a_vault_bring_back_nobody_else(
    copied, tmp_path, capsys
):
    mixed, vault = copied("folder")
    table, columns, rows = meddler.table_of_images(vault)
    # By old and by new name: numbers follow the order of names.
    names = meddler.original_names()
    outputs = [one.name for one in meddler.load(mixed, "folder")]
    # First as it was: none exchanged, and all come back.
    chosen = [
        places
        for count in range(len(columns))
        for places in itertools.combinations(range(len(columns)), count)
    ]
    for number, swapped in enumerate(chosen):
        changed = [list(row) for row in rows]
        for column in swapped:
            one, other = changed[0], changed[1]
            one[column], other[column] = other[column], one[column]
        if not meddler.fill(vault, table, changed):
            continue
        for i, name in enumerate((*names, *outputs)):
            back = tmp_path / f"back-{number}-{i}"
            more = ["--vault", vault, "--id", name]
            status, _, _ = run(capsys, "unmix", mixed, back, *more)
            images = restored(back)
            if status == 0:
                (image,) = images
                wanted = meddler.original(names[i % COUNT])
                assert np.array_equal(image, wanted), (name, swapped)
            else:
                assert swapped
                assert not images


def test_columns_of_a_vault_that_lead_elsewhere_are_found(copied, tmp_path, capsys):
    mixed, vault = copied("folder")
    table, columns, rows = meddler.table_of_images(vault)
    names = meddler.original_names()
    for column in range(len(columns)):
        changed = [list(row) for row in rows]
        changed[0][column] = changed[1][column]
        if not meddler.fill(vault, table, changed):
            continue
        for i, name in enumerate(names):
            back = tmp_path / f"back-{column}-{i}"
            more = ["--vault", vault, "--id", name]
            status, _, _ = run(capsys, "unmix", mixed, back, *more)
            for image in restored(back):
                assert np.array_equal(image, meddler.original(name))
            assert status == 0 or not restored(back)


def test_a_vault_without_some_rows_is_not_of_this_release(copied, capsys):
    mixed, vault = copied("folder")
    table, _, rows = meddler.table_of_images(vault)
    assert meddler.fill(vault, table, rows[1:])
    found_wrong(capsys, mixed, "--vault", vault)
