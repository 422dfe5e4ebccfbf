"""What is handed out: a wheel and an sdist of the library, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling import build

import vmixjax

ROOT = Path(__file__).parents[1]
PACKAGE = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "vmixjax").rglob("*")
    if path.suffix in (".py", ".pyi", ".jinja") or path.name == "py.typed"
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist, built by the project's own backend."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        # Dates of files in archives come from here, not from the environment.
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        wheel = folder / build.build_wheel(str(folder))
        sdist = folder / build.build_sdist(str(folder))
    return wheel, sdist


def test_the_wheel_holds_the_library_alone(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read("vmixjax-0.1.0.dist-info/METADATA").decode()
    about = {
        f"vmixjax-0.1.0.dist-info/{name}"
        for name in (
            "METADATA",
            "WHEEL",
            "RECORD",
            "entry_points.txt",
            "licenses/LICENSE",
        )
    }
    assert len(names) == len(set(names))
    assert set(names) == PACKAGE | about
    assert {"vmixjax/py.typed", "vmixjax/__init__.pyi"} <= set(names)
    assert "Project-URL: Repository, https://" in metadata


def test_the_sdist_holds_what_the_wheel_is_made_of(built):
    with tarfile.open(built[1]) as sdist:
        names = sdist.getnames()
    others = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO"}
    # Hatchling adds it, so that a build from the sdist leaves out the same.
    others.add(".gitignore")
    assert set(names) == {f"vmixjax-0.1.0/{name}" for name in PACKAGE | others}


def test_the_wheel_works_without_the_checkout(built, tmp_path):
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(tmp_path)
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import vmixjax\n"
        "print(vmixjax.__file__, *sorted(vmixjax.__all__))\n"
        "from vmixjax.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'jax', 'numpy', 'flax'} & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    first, *help_text = run.stdout.splitlines()
    where, *names = first.split()
    assert Path(where) == tmp_path / "vmixjax" / "__init__.py"
    assert names == sorted(vmixjax.__all__)
    assert help_text[0].startswith("usage: vmixjax")
