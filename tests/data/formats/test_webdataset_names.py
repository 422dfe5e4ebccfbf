"""Names and fields in tar files: each has one form, and each form is of one."""

import io
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strangers import read_tars, write_tar

from vmixjax.data.formats.webdataset.names import key, name_of, parse, suffix
from vmixjax.data.formats.webdataset.tar import member_header, walk, walk_bytes

# What escapes are made of, more often than by chance.
PIECES = st.sampled_from([".", "/", "%", "2E", "2f", "25", "a", "B"])
TEXT = st.lists(PIECES).map("".join)
PATHS = TEXT.filter(lambda name: name and not {"", ".", ".."} & set(name.split("/")))


@given(PATHS)
def test_a_name_is_in_a_tar_and_is_the_same_again(name):
    inside = key(name)
    assert name_of(inside) == name
    assert "." not in posixpath.basename(inside)
    assert posixpath.dirname(inside) == posixpath.dirname(name)
    assert parse(f"{inside}.png") == (inside, "png")


@given(PATHS)
def test_a_key_that_others_chose_stays_as_it_is(name):
    folder, base = posixpath.split(name)
    chosen = posixpath.join(folder, base.replace(".", "-"))
    assert key(name_of(chosen)) == chosen


@given(TEXT)
def test_a_field_is_one_member_and_is_the_same_again(field):
    member = suffix(field)
    assert "/" not in member
    assert parse(f"folder/a.{member}") == ("folder/a", field.lower())


@pytest.mark.parametrize("name", ["plain", "shots/10", "50%", "%25", "naïve"])
def test_usual_names_are_not_changed(name):
    assert key(name) == name_of(name) == name


def test_strangers_find_the_sample(tmp_path):
    buffer = io.BytesIO()
    name = key("Screenshot 10.30.15")
    Image.new("L", (1, 1)).save(buffer, "PNG")
    members = [(f"{name}.png", buffer.getvalue()), (f"{name}.{suffix('a/b')}", b"x")]
    write_tar(tmp_path / "a.tar", members)
    ((found, _, beside),) = read_tars(tmp_path)
    assert found == "Screenshot 10%2E30%2E15"
    assert beside == {"a%2fb": b"x"}


@given(
    st.lists(
        st.tuples(st.text("aé/.%\n", min_size=1), st.binary(max_size=3)), min_size=1
    )
)
def test_pieces_in_memory_are_walked_as_files_are(members):
    long = [
        (f"{name}{'x' * 99 * (number % 2)}", data)
        for number, (name, data) in enumerate(members)
    ]
    piece = b"".join(
        member_header(name, len(data)) + data + bytes(-len(data) % 512)
        for name, data in long
    )

    def listed(found):
        return [(one.name, one.type, one.size, one.offset_data) for one in found]

    assert listed(walk_bytes(piece)) == listed(walk(io.BytesIO(piece)))


@pytest.mark.parametrize("spoil", [lambda d: d[:600], lambda d: b"x" + d[1:]])
def test_pieces_that_are_damaged_are_refused_as_files_are(spoil):
    piece = spoil(member_header("a.png", 600) + bytes(1024))
    with pytest.raises(ValueError, match=r"is cut off|is damaged"):
        list(walk_bytes(piece))
