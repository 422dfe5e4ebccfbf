"""Audits from end to end, on a handful of digits and small budgets."""

import json
import re
import shutil

import numpy as np
import pytest

from vmixjax import audit
from vmixjax.cli import main
from vmixjax.methods import METHODS

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(scope="module")
def unnamed(digits, tmp_path_factory):
    """The same digits without classes: no classifier is trained."""
    root = tmp_path_factory.mktemp("unnamed")
    for whose in ("private", "public"):
        (root / whose).mkdir()
        for path in (digits / whose).rglob("*.png"):
            shutil.copy(path, root / whose / path.name)
    return root


def order(digits, **options):
    values = {
        "src": str(digits / "private"),
        "public": str(digits / "public"),
        "methods": (),
        "attacks": (),
        "budget": "quick",
        "image_size": None,
        "data_dir": None,
        "splits": (),
        "image": None,
        "seed": 0,
    }
    return audit.AuditConfig(**{**values, **options})


def test_an_audit_writes_its_report_and_goes_on_where_it_was(digits, tmp_path, capsys):
    out = tmp_path / "out"
    methods = ["mix:8/2", "le:match"]
    options = ["--public", str(digits / "public"), "--out", str(out)]
    command = ["audit", str(digits / "private"), *options, "--methods", *methods]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith("vmixjax, regions of 8, blocks of 2 pixels: The ")
    found = json.loads((out / "audit.json").read_text())
    made = {(one["method"], one["attack"]) for one in found["findings"]}
    names = [one["name"] for one in found["methods"]]
    tried = {name: {attack for m, attack in made if m == name} for name in names}
    everywhere = {"none", "restoration", "classifier"}
    assert tried == {
        "mix:8/2": everywhere | {"thumbnail", "average", "known_pairs", "jigsaw"},
        names[1]: everywhere | {"thumbnail", "known_pairs"},
    }
    assert re.fullmatch(r"le:(2|4|8)", names[1])
    of_classes = [one for one in found["findings"] if one["attack"] == "classifier"]
    assert all(
        0 <= one["reidentified"] <= 1
        for one in found["findings"]
        if one not in of_classes
    )
    assert found["classes"] == 10
    assert all(0 <= one["learned"] <= 1 for one in found["methods"])
    # An attacker's network is that of anybody, but where the owner has one key for all.
    learned = found["methods"][0]["learned"]
    assert of_classes[0]["recognised"] == pytest.approx(learned)
    assert [one["ssim"] for one in of_classes] == [None, None]
    networks = {path.name for path in (out / "work").glob("*network.npz")}
    le = names[1].replace(":", "-")
    assert networks >= {f"{le}-network.npz", f"{le}-attackers-network.npz"}
    assert "mix-8-2-attackers-network.npz" not in networks
    for part in ("membership", "inversions"):
        assert [one["method"] for one in found[part]] == ["clean", "mix:8/2"]
    (sharing,) = found["key_sharing"]
    assert sharing["own_keys"] < sharing["by_chance"] + 0.1
    assert sharing["one_key"] > sharing["own_keys"] + 0.3
    assert (out / "report.html").stat().st_mode & 0o777 == 0o600
    assert str(digits) not in (out / "report.html").read_text()
    # A second time nothing is attacked again, and the page is the same.
    before = {path: path.stat().st_mtime_ns for path in (out / "work").iterdir()}
    page = (out / "report.html").read_bytes()
    lost = out / "work" / "mix-8-2-thumbnail.npz"
    kept = np.load(lost)["images"]
    lost.unlink()
    assert main(command) == 0
    after = {path: path.stat().st_mtime_ns for path in (out / "work").iterdir()}
    assert {path for path in after if before[path] != after[path]} == {lost}
    # What was lost is found again, bit for bit.
    np.testing.assert_array_equal(np.load(lost)["images"], kept)
    assert (out / "report.html").read_bytes() == page


@pytest.mark.long
def test_without_a_public_set_half_of_the_images_are_the_attackers(unnamed, tmp_path):
    mixing = {"mix", "mix-shared", "mix-joint"}  # need a size
    others = set(METHODS) - mixing - {"published_vmix", "le"}
    methods = ("le", "mix-joint:8", "mix-shared:4", *others)
    cheap = ("thumbnail", "average", "known_pairs")
    alone = order(unnamed, public=None, methods=methods, attacks=cheap)
    audit.audit_images(alone, tmp_path)
    found = json.loads((tmp_path / "audit.json").read_text())
    assert (found["images"], found["public"]) == (15, 15)
    # Every method there is, each by what makes sense against it.
    assert {one["name"] for one in found["methods"]} == set(methods)
    made = {(one["method"], one["attack"]) for one in found["findings"]}
    assert made >= {(name, "none") for name in methods}
    assert {name for name, attack in made if attack == "known_pairs"} == {
        *("mix-joint:8", "mix-shared:4", "permute_blocks", "le", "ele", "csvar")
    }
    # One key for all is shown by the first method that has a key for each.
    assert [one["method"] for one in found["key_sharing"]] == ["mix-joint:8"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        # Before images are read.
        ({"methods": ("pixellate:4",), "src": "nowhere"}, "did you mean pixelate"),
        ({"methods": ("mix:5",)}, "--methods mix:5: .*16 x 16 is not made of whole"),
        ({"methods": ("mix",)}, "such as mix:8"),
        ({"methods": ("gaussian_blur:-1",)}, "--methods gaussian_blur:-1"),
        ({"methods": ("le:match",)}, "matched with the first method; name one"),
        ({"attacks": ("tumbnail",)}, "did you mean thumbnail"),
        ({"image_size": 12}, "--image-size must be a multiple of 8"),
        ({"src": "nowhere"}, "SRC nowhere does not exist"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_line(digits, tmp_path, options, words):
    with pytest.raises(audit.RunError, match=words):
        audit.audit_images(order(digits, **options), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_public_set_with_images_of_the_owner_is_refused(digits, tmp_path):
    both = order(digits, public=str(digits / "private"))
    with pytest.raises(audit.RunError, match="24 of the images of SRC"):
        audit.audit_images(both, tmp_path / "out")


def test_methods_are_added_but_another_audit_is_not_mixed_into(unnamed, tmp_path):
    few = {"methods": ("pixelate:4",), "attacks": ("thumbnail",)}
    audit.audit_images(order(unnamed, **few), tmp_path)
    done = tmp_path / "work" / "pixelate-4-thumbnail.npz"
    made = done.stat().st_mtime_ns
    more = {**few, "methods": ("pixelate:8", "pixelate:4")}
    assert "blocks of 8" in audit.audit_images(order(unnamed, **more), tmp_path)
    assert done.stat().st_mtime_ns == made
    with pytest.raises(
        audit.RunError, match="an audit with other images, seed: name another"
    ):
        audit.audit_images(order(unnamed, **more, seed=1), tmp_path)
