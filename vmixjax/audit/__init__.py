"""The privacy audit: what an attacker really gets back, in numbers and pictures."""

import dataclasses
import json
from pathlib import Path

from vmixjax.atomic import atomic_path
from vmixjax.audit.budgets import BUDGETS, usual_methods
from vmixjax.audit.pictures import Pictures, load_pictures, overlap, split_pictures
from vmixjax.audit.report import render
from vmixjax.audit.run import ATTACKS, Audit, run_audit
from vmixjax.audit.verdict import judge
from vmixjax.errors import RunError, none_of
from vmixjax.methods import method_of, named


@dataclasses.dataclass(frozen=True)
class AuditConfig:
    """What somebody asks for.

    Attributes:
      src: the owner's images, as `vmixjax.data.open_source` takes them.
      public: the attacker's; None takes half of `src`.
      methods: names, as `vmixjax.methods.named` takes them; the usual if empty.
      attacks: names out of `ATTACKS`; all if empty.
      budget: a name out of `BUDGETS`.
      image_size: side that all images are brought to; None leaves it to the budget.
      data_dir: where TFDS keeps its data sets.
      splits: of `src`; all if empty.
      seed: of all random choices.
    """

    src: str
    public: str | None
    methods: tuple[str, ...]
    attacks: tuple[str, ...]
    budget: str
    image_size: int | None
    data_dir: str | None
    splits: tuple[str, ...]
    seed: int


def audit_images(order: AuditConfig, out: Path) -> str:
    """Makes an audit, and writes `report.html` and `audit.json`.

    Interrupted, it goes on where it was when called again.

    Args:
      order: what to do.
      out: a folder, made if need be, for nobody but its owner: the report shows
        originals.

    Returns:
      The verdict in words.

    Raises:
      RunError: images that cannot be read or are too few, a public set that has some of
        the owner's images, an unknown method or attack, another audit in `out`.
    """
    # Before images are read, which may take long.
    _check_attacks(order.attacks)
    for name in order.methods:
        method_of(name)
    private, public = _pictures(order)
    names = order.methods or usual_methods(private.shape[0], order.budget)
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
        attacks=order.attacks or ATTACKS,
        budget=BUDGETS[order.budget],
        seed=order.seed,
    )
    work = out / "work"
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    work.mkdir(exist_ok=True, mode=0o700)
    evidence, exhibits = run_audit(audit, work)
    verdicts = [judge(evidence, one.name) for one in evidence.methods]
    values = evidence.as_json()
    values["verdicts"] = [dataclasses.asdict(verdict) for verdict in verdicts]
    for name, text in (
        ("audit.json", json.dumps(values, indent=1)),
        ("report.html", render(evidence, exhibits)),
    ):
        with atomic_path(out / name, mode=0o600) as file:
            file.write(text.encode())
    return f"{evidence.methods[0].title}: {verdicts[0].sentence}"


def _check_attacks(attacks: tuple[str, ...]) -> None:
    for name in attacks:
        if name not in ATTACKS:
            raise RunError(none_of("--attacks", name, ATTACKS))


def _pictures(order: AuditConfig) -> tuple[Pictures, Pictures]:
    """The owner's images and the attacker's, of one size."""
    budget = BUDGETS[order.budget]
    if order.image_size is not None and (order.image_size < 8 or order.image_size % 8):
        raise RunError(
            f"--image-size must be a multiple of 8 pixels; got {order.image_size}"
        )
    half = order.public is None
    private = load_pictures(
        order.src,
        option="SRC",
        most=budget.images + (budget.public if half else 0),
        seed=order.seed,
        size=order.image_size,
        largest=budget.side,
        data_dir=order.data_dir,
        splits=order.splits,
    )
    if order.public is None:
        return split_pictures(private, order.seed, budget.images)
    public = load_pictures(
        order.public,
        option="--public",
        most=budget.public,
        seed=order.seed,
        size=private.shape[0],
        data_dir=order.data_dir,
    )
    if public.shape != private.shape:
        raise RunError(
            f"--public {order.public} has images with {public.shape[2]} channels, but "
            f"those of SRC have {private.shape[2]}: choose images like yours"
        )
    shared = overlap(private, public)
    if shared:
        raise RunError(
            f"--public {order.public} has {len(shared)} of the images of SRC (number "
            f"{shared[0] + 1} is the first): an attacker who has the originals needs "
            f"no attack. Take them out of one of the two"
        )
    return private, public


__all__ = ["ATTACKS", "AuditConfig", "RunError", "audit_images"]
