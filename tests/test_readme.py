"""The README tells the truth: its code runs, its options and files exist."""

import dataclasses
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

import train.__main__
import train.compare
import vmixjax.cli.commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = {
    "vmixjax": ["vfe", "mix", "unmix", "verify", "audit", "demo"],
    "train": ["fit", "evaluate", "predict", "compare"],
}
MAINS = {"vmixjax": vmixjax.cli, "train": train.__main__}


def blocks(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", README)


def calls():
    """(program, arguments) of each command that is ours, in shell blocks and tables."""
    lines = "\n".join(blocks("sh")).splitlines()
    lines += re.findall(r"(?m)`((?:vmixjax|python -m train) [^`]+)` \|$", README)
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part.split(" > ")[0], comments=True)
            if words[:3] == ["python", "-m", "train"]:
                yield "train", words[3:]
            elif words and Path(words[0]).name == "vmixjax":
                yield "vmixjax", words[1:]


@pytest.fixture
def parse_only(monkeypatch):
    """Commands that are understood and do nothing."""
    for commands in (vmixjax.cli.commands.COMMANDS, train.__main__.COMMANDS):
        for name, command in commands.items():
            does_nothing = dataclasses.replace(command, run=lambda options: 0)
            monkeypatch.setitem(commands, name, does_nothing)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(block):
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize(("program", "arguments"), list(calls()))
@pytest.mark.usefixtures("parse_only")
def test_commands_are_understood(program, arguments):
    try:
        status = MAINS[program].main(arguments)
    except SystemExit as stop:  # Help and completion end so, and misunderstandings.
        status = stop.code
    assert not status


def test_every_command_is_shown():
    shown = {(program, words[0]) for program, words in calls()}
    assert shown >= {(p, c) for p, commands in COMMANDS.items() for c in commands}


def test_every_option_that_is_named_exists(capsys):
    # `--no-such` of other programs stand in shell blocks, behind their own names.
    for program, commands in COMMANDS.items():
        for command in commands:
            with pytest.raises(SystemExit):
                MAINS[program].main([command, "--help"])
    known = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", capsys.readouterr().out))
    prose = re.sub(r"(?ms)^```.*?^```", "", README)
    named = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*[\w]", prose))
    assert named - known == {"--help"} - known


def test_links_and_paths_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    local = [link for link in links if not link.startswith(("https://", "#"))]
    here = [link.partition("#")[0] for link in local]
    paths = re.findall(r"`((?:\.ci|colab|docs|tests|train|vmixjax)/[\w./-]*)`", README)
    assert here
    assert paths
    assert [path for path in (*here, *paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("audit", "methods", "page"),
    [("cifar10", 16, "README.md"), ("cifar10_112", 5, "docs/guidance.md")],
)
def test_the_tables_of_audits_are_what_their_numbers_say(audit, methods, page):
    rows = runpy.run_path(str(ROOT / "docs" / "audit_table.py"))["rows"]
    found = json.loads((ROOT / "docs" / "audits" / f"{audit}.json").read_text())
    assert len(found["methods"]) >= methods
    assert "\n".join(rows(found)) in (ROOT / page).read_text()


@pytest.mark.parametrize(
    ("preset", "seeds", "page"),
    [
        ("cifar10_small", 3, "README.md"),
        ("cifar10_small", 3, "train/results/notes.md"),
        ("cifar10_112", 1, "train/results/notes.md"),
    ],
)
def test_the_tables_of_training_are_what_their_numbers_say(preset, seeds, page):
    path = ROOT / "train" / "results" / preset / "compare.json"
    found = json.loads(path.read_text())
    assert {len(arm["test_accuracy"]) for arm in found["arms"]} == {seeds}
    assert train.compare.table(found) in (ROOT / page).read_text()
