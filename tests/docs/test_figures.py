"""Figures on the pages are what the committed numbers say."""

import json
import re
import runpy
import statistics
from pathlib import Path

import pytest

import benchmarks.compiled
import train.compare

ROOT = Path(__file__).parents[2]
README, LIBRARY, GUIDANCE, TRAINING, THREATS = (
    (ROOT / page).read_text()
    for page in (
        "README.md",
        *(f"docs/{name}.md" for name in ("library", "guidance", "training", "threats")),
    )
)


def load(path):
    return json.loads((ROOT / path).read_text())


@pytest.fixture(scope="module")
def cifar10():
    return load("docs/audits/cifar10.json")


def row(*cells):
    return f"| {' | '.join(cells)} |"


def one(items, **wanted):
    (found,) = (item for item in items if all(item[k] == v for k, v in wanted.items()))
    return found


@pytest.mark.parametrize(
    ("audit", "methods", "page"),
    [("cifar10", 16, "docs/audit.md"), ("cifar10_112", 5, "docs/guidance.md")],
)
def test_the_tables_of_audits_are_what_their_numbers_say(audit, methods, page):
    rows = runpy.run_path(str(ROOT / "docs" / "audit_table.py"))["rows"]
    found = load(f"docs/audits/{audit}.json")
    assert len(found["methods"]) >= methods
    assert "\n".join(rows(found)) in (ROOT / page).read_text()


def test_the_table_of_soft_labels_is_what_its_numbers_say():
    rows = runpy.run_path(str(ROOT / "docs" / "soft_labels_table.py"))["rows"]
    audits = [load(f"docs/audits/soft_labels_{region}.json") for region in (4, 2)]
    page = (ROOT / "docs" / "audit.md").read_text()
    assert "\n".join(rows(audits)) in page
    clean, mixed = audits[0]["soft_labels"]
    # What does not depend on the protection is the same in both.
    assert audits[1]["soft_labels"][0] == clean
    half = clean["images"] // 2
    teacher = f"{clean['teacher']:.0%}".replace("%", " %")
    text = " ".join(page.split())
    assert (
        f"On {half} images of CIFAR-10, with a teacher that is right on {teacher} of"
    ) in text
    few = f"{mixed['original_soft']:.0%}".replace("%", " %")
    assert f"**They tell few originals**, {few} here." in text
    assert mixed["soft_shadow_auc"] < mixed["hard_shadow_auc"]
    assert mixed["soft_loss_auc"] < mixed["hard_loss_auc"]


@pytest.mark.parametrize(
    ("preset", "seeds", "page"),
    [
        ("cifar10_small", {3}, "docs/training.md"),
        ("cifar10_small", {3}, "train/results/notes.md"),
        ("cifar10_small_recipes", {1, 2, 3}, "train/results/notes.md"),
        ("cifar10_small_plain", {3}, "train/results/notes.md"),
        ("cifar10_small_wide", {2}, "train/results/notes.md"),
        ("cifar10_small_pretrained", {2}, "train/results/notes.md"),
        ("cifar10_small_st_adam", {2, 3}, "train/results/notes.md"),
        ("cifar10_small_step", {3}, "train/results/notes.md"),
        ("cifar10_112", {1}, "train/results/notes.md"),
        ("bccd", {2}, "docs/tasks.md"),
        ("bccd_800", {1}, "docs/tasks.md"),
        ("camvid", {2}, "docs/tasks.md"),
    ],
)
def test_the_tables_of_training_are_what_their_numbers_say(preset, seeds, page):
    found = load(f"train/results/{preset}/compare.json")
    assert {len(arm["scores"]) for arm in found["arms"]} == seeds
    assert train.compare.table(found) in (ROOT / page).read_text()


def test_what_public_images_bring():
    arms = load("train/results/cifar10_small_pretrained/compare.json")["arms"]
    alone, started = (one(arms, recipe=recipe) for recipe in ("scratch", "base"))
    # The last test, after twelve epochs, and the first, after three.
    after = [
        f"{100 * statistics.mean(curve[test][1] for curve in arm['curves']):.1f}"
        for test in (-1, 0)
        for arm in (alone, started)
    ]
    text = " ".join(TRAINING.split())
    assert "{} % to {} % after twelve epochs, and {} % to {} %".format(*after) in text


def test_the_table_of_tasks_is_what_results_and_audits_say():
    rows = runpy.run_path(str(ROOT / "docs" / "tasks_table.py"))["rows"]()
    assert len(rows) >= 2 + 1 + 3 + 2
    assert "\n".join(rows) in (ROOT / "docs/tasks.md").read_text()


def test_the_numbers_of_tasks_in_the_readme():
    for preset, wanted, text in (
        ("bccd", (48, 24, 12), "AP at IoU 0.5 of {}, {} and {}, from clean images {}"),
        ("camvid", (36, 18, 9), "mean IoU of {}, {} and {}, from clean images {}"),
    ):
        arms = load(f"train/results/{preset}/compare.json")["arms"]
        # Of several recipes the best.
        scores = [
            max(arm["mean"] for arm in arms if (arm["form"], arm["across"]) == kind)
            for kind in (*(("regions", across) for across in wanted), ("plain", 0))
        ]
        assert text.format(*(f"{score:.2f}" for score in scores)) in README


def test_the_numbers_of_the_readme(cifar10):
    found = load("train/results/cifar10_small/compare.json")
    clean = max(arm["mean"] for arm in found["arms"] if not arm["across"])
    for across in (16, 8):
        mixed = one(found["arms"], form="regions", across=across)
        lost = clean - mixed["mean"]
        assert (
            f"| {across} | {100 * lost:.2f} points: {100 * mixed['mean']:.1f} % from a "
            f"release, {100 * clean:.1f} % from clean images"
        ) in README
    eight, four = (one(cifar10["verdicts"], method=f"mix:{n}") for n in (8, 4))
    assert (
        f"{eight['best']['likeness (SSIM)']:.0%} of the way from a guess to the "
        f"original by likeness (SSIM), {eight['best']['recognition']:.0%} by"
    ).replace("%", " %") in README
    assert eight["linked"] == 1
    assert f"{four['best']['likeness (SSIM)']:.0%} of the".replace("%", " %") in README
    peers = load("benchmarks/cpu.json")["peers"]
    mix = one(peers, way="mix")["images per second"]
    numpy = one(peers, way="numpy.random.Generator.permuted")["mix is faster by"]
    assert f"{mix:,.0f} images of 224 x 224 x 3 in a second" in README
    assert f"{numpy:.1f} times what `numpy.random.Generator.permuted`" in README
    steps = load("benchmarks/compiled.json")["steps"]["imagenet100"]["v5e"]
    share = f"{steps['step, clean']['mixing, of bytes']:.1%}".replace("%", " %")
    assert f"mixing takes {share} of the bytes that a training step" in README


def test_the_table_of_speed():
    peers = load("benchmarks/cpu.json")["peers"]
    shown = re.findall(r"(?m)^(\S.*?) +([\d,]+) +([\d.]+) +([\d.]+) x", LIBRARY)
    assert len(shown) >= 9
    for name, speed, share, ratio in shown:
        known = name.removeprefix("vmixjax.").replace("rule, in", "rule in")
        found = one(peers, way=known)
        assert speed == f"{found['images per second']:,.0f}", name
        for text, value in (
            (share, found["of ceiling"]),
            (ratio, found["mix is faster by"]),
        ):
            digits = len(text.partition(".")[2])
            assert text == f"{value:.{digits}f}", name


def test_the_tables_of_what_is_compiled():
    found = load("benchmarks/compiled.json")
    notes = (ROOT / "benchmarks" / "notes.md").read_text()
    for table in (benchmarks.compiled.of_functions, benchmarks.compiled.of_steps):
        lines = list(table(found))
        assert len(lines) > 4
        assert "\n".join(lines) in notes


def test_the_tables_of_the_guidance(cifar10):
    def figures(name):
        restored = one(cifar10["findings"], method=name, attack="restoration")
        return (
            f"{one(cifar10['methods'], name=name)['learned']:.0%}".replace("%", " %"),
            f"{restored['ssim']:.2f}",
            f"{restored['recognised']:.0%}".replace("%", " %"),
            f"{one(cifar10['verdicts'], method=name)['linked']:.0%}".replace("%", " %"),
        )

    assert f"clean: {cifar10['clean']:.0%})".replace("%", " %") in GUIDANCE
    assert f"a guess: {cifar10['guess']['ssim']:.2f})" in GUIDANCE
    for region in (4, 8, 16):
        learned, ssim, _, matched = figures(f"mix:{region}")
        cells = (str(region), str(32 // region), learned, ssim, matched)
        assert row(*cells) in GUIDANCE
    for mode, name in (
        ("shared", "mix-shared:8"),
        ("independent", "mix:8"),
        ("joint", "mix-joint:8"),
    ):
        assert row(f"`{mode}`", *figures(name)) in GUIDANCE


def test_what_is_left_by_regions_across():
    audits = [load(f"docs/audits/photographs_{side}.json") for side in (32, 64, 128)]
    for across in (8, 4, 2):
        cells = []
        for found in audits:
            tried = [
                finding
                for finding in found["findings"]
                if finding["method"] == f"mix:{found['side'] // across}"
            ]
            means = one(tried, attack="thumbnail")["psnr"]
            matched = max(finding["reidentified"] for finding in tried)
            cells.append(f"{means:.1f} dB, {matched:.0%}".replace("%", " %"))
        assert row(str(across), *cells) in GUIDANCE
    guesses = [f"{found['guess']['psnr']:.1f} dB" for found in audits]
    assert row("(a guess)", *guesses) in GUIDANCE


def test_shared_keys_and_trained_networks(cifar10):
    (sharing,) = cifar10["key_sharing"]
    assert f"From {sharing['pairs']} pairs" in GUIDANCE
    assert f"{sharing['one_key']:.0%} of the values".replace("%", " %") in GUIDANCE
    assert f"it is {sharing['own_keys']:.1%},".replace("%", " %") in GUIDANCE
    for name, title in (("clean", "clean images"), ("mix:8", "mixed, regions of 8")):
        inverted = one(cifar10["inversions"], method=name)
        told = one(cifar10["membership"], method=name)
        cells = (
            f"{inverted['ssim_sent']:.2f}",
            f"{inverted['ssim']:.2f}",
            f"{told['loss_auc']:.2f} / {told['shadow_auc']:.2f}",
            f"{told['members']:.0%} / {told['others']:.0%}",
        )
        assert row(title, *cells) in GUIDANCE


def test_what_shifted_grids_give_back():
    found = load("docs/audits/shifted_grids.json")
    lines = [line for line in GUIDANCE.splitlines() if " dB, SSIM " in line]
    shown = 0
    for name in found.keys() - {"shifts_found"}:
        of = found[name]
        cells = (
            f"{of['psnr']:.1f} dB, SSIM {of['ssim']:.2f}",
            f"{of['means_psnr']:.1f} dB, {of['means_ssim']:.2f}",
            f"{of['exact']:.0%}".replace("%", " %"),
        )
        shown += sum(line.endswith(f"| {' | '.join(cells)} |") for line in lines)
    assert shown == len(found.keys() - {"shifts_found"}) >= 3
    assert f"give {found['crops']['psnr']:.1f} dB back" in TRAINING
    for page in (GUIDANCE, THREATS):
        right = f"{found['shifts_found']['right']:.0f} were laid where they belong"
        assert right in " ".join(page.split())
    for name in found.keys() - {"shifts_found"}:
        assert f"| {found[name]['psnr']:.1f} dB, " in THREATS
        assert f" {found[name]['means_psnr']:.1f} dB, " in THREATS
    overlaps = load("docs/audits/overlaps.json")
    together, alone = (
        one(overlaps["findings"], method="mix:16", attack=attack)["ssim"]
        for attack in ("shifted_grids", "thumbnail")
    )
    text = " ".join(GUIDANCE.split())
    assert (
        f"an SSIM of {together:.2f} comes back from regions of 16 at 64 pixels, where "
        f"means have {alone:.2f}"
    ) in text
    assert overlaps["overlapping"] == 200
