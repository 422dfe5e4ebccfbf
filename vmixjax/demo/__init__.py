"""The whole idea in one page, offline: pictures mixed, and a model trained on them."""

from pathlib import Path

SEED = 0
"""All of the demo's randomness comes from this number, so its keys are no secret."""


def run_demo(out: Path) -> str:
    """Mixes photographs, trains a small model on clean and mixed digits, reports.

    Everything comes from installed packages; nothing is fetched. Takes a minute or
    two on two cores.

    Args:
      out: an existing folder; `report.html` in it is written anew, whole or not at
        all.

    Returns:
      Its findings in words, and where the report is.

    Raises:
      OSError: the report cannot be written.
    """
    from vmixjax.atomic import atomic_path
    from vmixjax.demo.learning import learn_clean_and_mixed
    from vmixjax.demo.page import render
    from vmixjax.demo.photographs import mix_photographs

    report = out / "report.html"
    # Opened first: a folder that cannot be written to says so before the work.
    with atomic_path(report) as file:
        photographs = mix_photographs(SEED)
        lessons = learn_clean_and_mixed(SEED)
        file.write(render(photographs, lessons).encode())
    lines = [
        f"{p.name}: VFE {p.vfe:.1f}, mixed "
        + ", ".join(f"{m.realised:.1f} (strength {m.strength:g})" for m in p.mixes)
        for p in photographs
    ]
    lines += [
        f"digits, {lesson.name}: test accuracy {lesson.accuracies[-1]:.1%}"
        for lesson in lessons.curves
    ]
    return "\n".join([*lines, f"report: {report}"])
