"""The privacy audit: what an attacker really gets back, in numbers and pictures."""

import dataclasses
import json
from pathlib import Path

from vmixjax.atomic import atomic_path
from vmixjax.attacks import ATTACKS
from vmixjax.audit.budgets import BUDGETS, budget_of, usual_methods
from vmixjax.audit.pictures import Pictures, load_pictures, overlap, split_pictures
from vmixjax.audit.report import render
from vmixjax.audit.run import run_audit
from vmixjax.audit.session import Audit
from vmixjax.audit.verdict import judge, usefulness
from vmixjax.errors import RunError
from vmixjax.methods import method_of, named


@dataclasses.dataclass(frozen=True)
class AuditConfig:
    """What somebody asks for.

    Attributes:
      src: The owner's images, as `vmixjax.data.open_source` takes them.
      public: The attacker's; None takes half of `src`.
      methods: Names, as `vmixjax.methods.named` takes them; the usual if empty.
      attacks: Names out of `ATTACKS`; all if empty.
      budget: A name out of `BUDGETS`.
      image_size: Side that all images are brought to; None leaves it to the budget.
      data_dir: Where TFDS keeps its data sets.
      splits: Of `src`; all if empty.
      image: Field of `src` that is the image, where several might be.
      seed: Of all random choices.
    """

    src: str
    public: str | None
    methods: tuple[str, ...]
    attacks: tuple[str, ...]
    budget: str
    image_size: int | None
    data_dir: str | None
    splits: tuple[str, ...]
    image: str | None
    seed: int


def audit_images(config: AuditConfig, out: Path) -> str:
    """Makes an audit, and writes `report.html` and `audit.json`.

    Interrupted, it goes on where it was when called again.

    Args:
      config: What to do.
      out: A folder, made if need be, for nobody but its owner: the report shows
        originals.

    Returns:
      The verdict in words, and what networks learn.

    Raises:
      RunError: Images that cannot be read or are too few, a public set that has some of
        the owner's images, an unknown method or attack, another audit in `out`.
    """
    # Before images are read, which may take long.
    for name in config.attacks:
        ATTACKS.find("--attacks", name)
    for name in config.methods:
        method_of(name)
    private, public = _pictures(config)
    names = config.methods or usual_methods(private.shape[0], config.budget)
    methods = tuple(named(name, private.shape) for name in dict.fromkeys(names))
    if methods[0].choices:
        raise RunError(
            f"--methods {names[0]}: others are matched with the first method; name one "
            f"with a strength first, such as mix:8"
        )
    audit = Audit(
        private=private,
        public=public,
        methods=methods,
        attacks=config.attacks or tuple(ATTACKS),
        budget=budget_of(config.budget),
        seed=config.seed,
    )
    work = out / "work"
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    work.mkdir(exist_ok=True, mode=0o700)
    results, figures = run_audit(audit, work)
    verdicts = [judge(results, one.name) for one in results.methods]
    values = results.as_json()
    values["verdicts"] = [dataclasses.asdict(verdict) for verdict in verdicts]
    for name, text in (
        ("audit.json", json.dumps(values, indent=1)),
        ("report.html", render(results, figures)),
    ):
        with atomic_path(out / name, mode=0o600) as file:
            file.write(text.encode())
    first = results.methods[0]
    told = usefulness(results, first.name)
    return "\n".join(
        [f"{first.title}: {verdicts[0].sentence}", *([told] if told else [])]
    )


def _pictures(config: AuditConfig) -> tuple[Pictures, Pictures]:
    """The owner's images and the attacker's, of one size."""
    budget = BUDGETS[config.budget]
    if config.image_size is not None and (
        config.image_size < 8 or config.image_size % 8
    ):
        raise RunError(
            f"--image-size must be a multiple of 8 pixels; got {config.image_size}"
        )
    half = config.public is None
    private = load_pictures(
        config.src,
        option="SRC",
        most=budget["images"] + (budget["public"] if half else 0),
        seed=config.seed,
        size=config.image_size,
        largest=budget["side"],
        data_dir=config.data_dir,
        splits=config.splits,
        image=config.image,
    )
    if config.public is None:
        return split_pictures(private, config.seed, budget["images"])
    public = load_pictures(
        config.public,
        option="--public",
        most=budget["public"],
        seed=config.seed,
        size=private.shape[0],
        data_dir=config.data_dir,
    )
    if public.shape != private.shape:
        raise RunError(
            f"--public {config.public} has images with {public.shape[2]} channels, but "
            f"those of SRC have {private.shape[2]}: choose images like yours"
        )
    shared = overlap(private, public)
    if shared:
        raise RunError(
            f"--public {config.public} has {len(shared)} of the images of SRC (number "
            f"{shared[0] + 1} is the first): an attacker who has the originals needs "
            f"no attack. Take them out of one of the two"
        )
    return private, public


__all__ = ["ATTACKS", "AuditConfig", "RunError", "audit_images"]
