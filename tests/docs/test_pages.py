"""README and docs tell the truth: their code runs, what they name exists."""

import dataclasses
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import train.__main__
import vmixjax.cli.commands
from train import devices
from train.config import Config
from train.step import Steps

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / "benchmarks" / "notes.md",
        ROOT / "train" / "results" / "notes.md",
    )
}
COMMANDS = {
    "vmixjax": ["vfe", "mix", "unmix", "verify", "audit", "demo"],
    "train": ["fit", "evaluate", "predict", "label", "compare"],
}
MAINS = {"vmixjax": vmixjax.cli, "train": train.__main__}
every_page = pytest.mark.parametrize("page", PAGES)


def blocks(page, language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGES[page])


def prose(page):
    return re.sub(r"(?ms)^```.*?^```", "", PAGES[page])


def calls(page):
    """(program, arguments) of each command that is ours, in shell blocks and tables."""
    lines = "\n".join(blocks(page, "sh")).splitlines()
    lines += re.findall(r"(?m)`((?:vmixjax|python -m train) [^`]+)` \|$", PAGES[page])
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part.split(" > ")[0], comments=True)
            if words[:3] == ["python", "-m", "train"]:
                yield "train", words[3:]
            elif words and Path(words[0]).name == "vmixjax":
                yield "vmixjax", words[1:]


ALL_CALLS = [(page, *call) for page in PAGES for call in calls(page)]


def begun(options):
    """Nothing is done, but that what is to be trained is something that can be."""
    config = getattr(options, "config", None)
    if isinstance(config, Config):
        sides = config.data.image_shape or (12 * config.mixing.tile_size,) * 2
        Steps(config, (*sides, 3), 10, devices.mesh(config.batch_size))
    return 0


@pytest.fixture
def begin_only(monkeypatch):
    """Commands that are understood and do nothing."""
    for commands in (vmixjax.cli.commands.COMMANDS, train.__main__.COMMANDS):
        for name, command in commands.items():
            does_nothing = dataclasses.replace(command, run=begun)
            monkeypatch.setitem(commands, name, does_nothing)


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page in PAGES for block in blocks(page, "python")],
)
def test_python_blocks_run(page, block):
    exec(compile(block, page, "exec"), {})


@pytest.mark.parametrize(("page", "program", "arguments"), ALL_CALLS)
@pytest.mark.usefixtures("begin_only")
def test_commands_are_understood(page, program, arguments):
    try:
        status = MAINS[program].main(arguments)
    except SystemExit as stop:  # Help and completion end so, and misunderstandings.
        status = stop.code
    assert not status


def test_every_command_is_shown():
    shown = {(program, words[0]) for _, program, words in ALL_CALLS}
    assert shown >= {(p, c) for p, commands in COMMANDS.items() for c in commands}


def test_every_option_that_is_named_exists(capsys):
    # `--no-such` of other programs stand in shell blocks, behind their own names.
    for program, commands in COMMANDS.items():
        for command in commands:
            with pytest.raises(SystemExit):
                MAINS[program].main([command, "--help"])
    known = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", capsys.readouterr().out))
    # Of `python -m benchmarks`, whose notes are a page, too.
    known |= {"--help", "--tables", "--out", "--photographs", "--folder", "--panorama"}
    known |= {"--here", "--presets"}
    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*[\w]", prose(page)))
        assert named - known == set(), page


@every_page
def test_links_and_paths_lead_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", PAGES[page])
    local = [link for link in links if not link.startswith(("https://", "#"))]
    here = [(ROOT / page).parent / link.partition("#")[0] for link in local]
    # NAME is what a reader chooses.
    roots = r"\.ci|benchmarks|colab|docs|tests|train|vmixjax"
    paths = re.findall(rf"`((?:{roots})/[\w./-]*)`", PAGES[page])
    paths = [path for path in paths if not path.endswith("NAME.py")]
    assert [
        path for path in (*here, *(ROOT / p for p in paths)) if not path.exists()
    ] == []


def test_links_and_paths_are_found():
    assert "](docs/guidance.md)" in PAGES["README.md"]
    assert re.search(r"`vmixjax/\w+/`", PAGES["docs/contributing.md"])


@every_page
def test_names_of_modules_and_functions_exist(page):
    for dotted in set(re.findall(r"`(vmixjax(?:\.\w+)+)`", PAGES[page])):
        module, value = importlib.import_module("vmixjax"), None
        for name in dotted.split(".")[1:]:
            value = getattr(value or module, name, None)
            if value is None:
                value = importlib.import_module(dotted)
                break
        assert value is not None


def test_the_readme_is_short():
    assert len(PAGES["README.md"].encode()) <= 8000


def test_each_public_name_is_in_the_reference():
    page = PAGES["docs/api/vmixjax.md"]
    shown = re.findall(r"(?m)^\.\. auto\w+:: (\w+)$", page)
    assert sorted(shown) == sorted(vmixjax.__all__)


def test_the_page_on_installing_has_every_extra_and_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = PAGES["docs/install.md"]
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in page
    for requirement in project["dependencies"]:
        assert re.match(r"[\w-]+", requirement).group() in page
