import re
import subprocess
import sys


def test_the_demo_from_the_command_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "vmixjax.cli", "demo", "--out", "here"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    accuracies = dict(re.findall(r"digits, (\w+): test accuracy ([\d.]+)%", run.stdout))
    assert float(accuracies["clean"]) > 95
    assert float(accuracies["mixed"]) > 90
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "report.html"]
    assert "here/report.html" in run.stdout
