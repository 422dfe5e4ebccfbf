"""Runs attacks over methods, notes what was done, and goes on where it was."""

import dataclasses
import importlib.metadata
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import vmixjax
from vmixjax import metrics
from vmixjax.attacks.average import average
from vmixjax.attacks.jigsaw import jigsaw
from vmixjax.attacks.knowledge import Knowledge
from vmixjax.attacks.known_pairs import known_pairs
from vmixjax.attacks.recogniser import Classifier, train_classifier
from vmixjax.attacks.restoration import restoration
from vmixjax.attacks.thumbnail import thumbnail
from vmixjax.audit.budgets import Budget
from vmixjax.audit.evidence import Evidence, Finding, Protection, Sheet
from vmixjax.audit.methods import Audited
from vmixjax.audit.pictures import Pictures
from vmixjax.audit.verdict import judge
from vmixjax.baselines.methods import Method
from vmixjax.release.atomic import atomic_path
from vmixjax.release.errors import RunError

ATTACKS = ("thumbnail", "restoration", "jigsaw", "average", "known_pairs")
"""Those that give pictures back; the protected image itself is always looked at."""

SHOWN = 10
"""Images in a contact sheet."""

_TILE = 8
"""Of the VFE in the report: every image is made of whole eights."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """All that decides what an audit finds.

    Attributes:
      private: the owner's images.
      public: the attacker's.
      methods: what is compared; the verdict is about the first.
      attacks: names out of `ATTACKS`.
      budget: how much it may cost.
      seed: of all keys. These are not the keys of any release.
    """

    private: Pictures
    public: Pictures
    methods: tuple[Audited, ...]
    attacks: tuple[str, ...]
    budget: Budget
    seed: int

    def settings(self) -> dict[str, Any]:
        """What reproduces it, and nothing of where images lie."""
        return {
            "methods": [one.name for one in self.methods],
            "attacks": list(self.attacks),
            "budget": dataclasses.asdict(self.budget),
            "seed": self.seed,
            "images": {
                "private": self.private.fingerprint(),
                "public": self.public.fingerprint(),
            },
            "vmixjax": importlib.metadata.version("vmixjax"),
            "jax": jax.__version__,
        }


def run_audit(audit: Audit, work: Path) -> tuple[Evidence, list[Sheet]]:
    """Makes every attack on every method, unless `work` has its result already.

    Args:
      audit: what to do.
      work: folder for results of single attacks, which exists.

    Raises:
      RunError: `work` is of another audit.
    """
    settings = audit.settings()
    _claim(work, settings)
    bench = _Bench(audit, work)
    protections, findings = [], []
    with tqdm(total=_count(audit), desc="auditing", unit="attack") as bar:
        for one in audit.methods:
            bar.set_postfix_str(one.name)
            protections.append(bench.protection(one))
            for attack in _fitting(one.method, audit):
                bar.set_postfix_str(f"{one.name}, {attack}")
                findings.append(bench.finding(one, attack))
                bar.update()
    mean = np.round(audit.public.images.mean(0)).astype(np.uint8)
    nothing = np.broadcast_to(mean, audit.private.images.shape)
    evidence = Evidence(
        images=len(audit.private),
        public=len(audit.public),
        side=audit.private.shape[0],
        original_side=audit.private.original_side,
        classes=len(audit.private.classes) if bench.recogniser else 0,
        vfe=_mean_vfe(audit.private.images),
        clean=bench.accuracy(audit.private.images),
        guess=bench.measure("guess", "none", nothing, 0.0),
        methods=tuple(protections),
        findings=tuple(findings),
        extra={},
        settings=settings,
    )
    return evidence, [bench.sheet(evidence, one) for one in audit.methods]


def _claim(work: Path, settings: dict[str, Any]) -> None:
    note = work / "settings.json"
    if note.exists():
        there = json.loads(note.read_text())
        differing = [name for name in settings if there.get(name) != settings[name]]
        if differing:
            raise RunError(
                f"--out has an audit with other {', '.join(differing)}: name another "
                f"folder, or remove this one"
            )
        return
    with atomic_path(note) as file:
        file.write(json.dumps(settings, indent=1).encode())


def _count(audit: Audit) -> int:
    return sum(len(_fitting(one.method, audit)) for one in audit.methods)


def _fitting(method: Method, audit: Audit) -> list[str]:
    """The attacks that make sense against a method."""
    side = audit.private.shape[0]
    inside = method.region is not None and method.region < side
    sense = {
        "thumbnail": inside,
        "restoration": True,
        "jigsaw": method.block > 1 and method.channels in ("independent", "shared"),
        "average": method.keys == "each",
        "known_pairs": method.channels is not None,
    }
    return ["none", *(name for name in audit.attacks if sense[name])]


def _mean_vfe(images: np.ndarray) -> float:
    measure = jax.jit(jax.vmap(lambda image: vmixjax.vfe(image, _TILE)))
    return float(measure(images).mean())


class _Bench:
    """Where images are protected, attacked and measured; keeps what was done."""

    def __init__(self, audit: Audit, work: Path) -> None:
        self.audit, self.work = audit, work
        self.originals = audit.private.images
        self.images = jnp.asarray(self.originals)
        self.public = jnp.asarray(audit.public.images)
        self.recogniser = self._recogniser()
        self.faces = metrics.faces(self.originals) > 0

    def _key(self, *names: str) -> jax.Array:
        key = jax.random.key(self.audit.seed, impl="threefry2x32")
        for name in names:
            key = jax.random.fold_in(key, zlib.crc32(name.encode()))
        return key

    def _recogniser(self) -> Classifier | None:
        private, public = self.audit.private, self.audit.public
        if private.labels is None or public.labels is None:
            return None
        if private.classes != public.classes:
            tqdm.write(
                "vmixjax: --public has other classes than SRC; recognition is not "
                "measured"
            )
            return None
        return self._trained(None, "recogniser")

    def _trained(self, method: Method | None, *names: str) -> Classifier:
        public = self.audit.public
        assert public.labels is not None
        return train_classifier(
            self._key("train", *names),
            self.public,
            public.labels,
            classes=len(public.classes),
            steps=self.audit.budget.recogniser_steps,
            protect=None if method is None else method.protect,
        )

    @property
    def _labels(self) -> np.ndarray:
        labels = self.audit.private.labels
        assert labels is not None
        return labels

    def accuracy(self, images: np.ndarray) -> float | None:
        """Of the classifier that was trained on clean images."""
        if self.recogniser is None:
            return None
        return self.recogniser.accuracy(images, self._labels)

    def protect(self, method: Method, images: jax.Array, *names: str) -> jax.Array:
        """Images, protected as the method says, with keys that the names decide."""
        key = self._key("owner", method.name, *names)
        if method.keys == "one":
            # The key of a data set is the same whatever is protected with it.
            key = self._key("owner", method.name)
            keys = jnp.broadcast_to(key, (len(images),))
        else:
            ids = jnp.arange(len(images))
            keys = jax.vmap(vmixjax.image_key, (None, 0))(key, ids)
        return jax.lax.map(
            lambda pair: method.protect(*pair), (keys, images), batch_size=64
        )

    def protection(self, one: Audited) -> Protection:
        """What is known of a method before any attack."""
        protected = np.asarray(self.protect(one.method, self.images))
        learned = None
        if self.recogniser is not None:
            note = self.work / f"{_file(one.name)}.json"
            if not note.exists():
                model = self._trained(one.method, "learned", one.name)
                learned = model.accuracy(protected, self._labels)
                with atomic_path(note) as file:
                    file.write(json.dumps({"learned": learned}).encode())
            learned = json.loads(note.read_text())["learned"]
        return Protection(
            one.name, one.title, one.remark, _mean_vfe(protected), learned
        )

    def recovered(self, one: Audited, attack: str) -> tuple[np.ndarray, float]:
        """What an attack gives back, and the seconds it took."""
        note = self.work / f"{_file(one.name)}-{attack}.npz"
        if not note.exists():
            start = time.monotonic()
            protected = self.protect(one.method, self.images)
            images = np.asarray(self._attack(one, attack, protected))
            with atomic_path(note) as file:
                np.savez(file, images=images, seconds=time.monotonic() - start)
        with np.load(note) as stored:
            return stored["images"], float(stored["seconds"])

    def _attack(self, one: Audited, attack: str, protected: jax.Array) -> jax.Array:
        method, budget = one.method, self.audit.budget
        key = self._key(attack, one.name)
        knowledge = Knowledge(
            protect=method.protect,
            public=self.public,
            region=method.region,
            block=method.block,
        )
        if attack == "none":
            return protected
        if attack == "thumbnail":
            return thumbnail(key, protected, knowledge)
        if attack == "restoration":
            return restoration(
                key,
                protected,
                knowledge,
                steps=budget.restoration_steps,
                width=budget.restoration_width,
            )
        if attack == "average":
            repeats = [
                self.protect(method, self.images, f"again {i}")
                for i in range(budget.repeats)
            ]
            return average(key, protected, knowledge, repeats=jnp.stack(repeats))
        assert method.channels is not None
        if attack == "jigsaw":
            return jigsaw(key, protected, knowledge, channels=method.channels)
        pairs = self.public[: budget.pairs]
        return known_pairs(
            key,
            protected,
            knowledge,
            originals=pairs,
            pairs_protected=self.protect(method, pairs, "pairs"),
            channels=method.channels,
        )

    def finding(self, one: Audited, attack: str) -> Finding:
        """An attack, measured."""
        return self.measure(one.name, attack, *self.recovered(one, attack))

    def measure(
        self, method: str, attack: str, images: np.ndarray, seconds: float
    ) -> Finding:
        """Images that came back, against the originals."""
        ssim = np.asarray(metrics.ssim(self.originals, images))
        faces = None
        if self.faces.any():
            found = metrics.faces(images)
            faces = float((found[self.faces] > 0).mean())
        return Finding(
            method=method,
            attack=attack,
            psnr=float(np.minimum(metrics.psnr(self.originals, images), 99).mean()),
            ssim=float(ssim.mean()),
            edges=float(np.mean(metrics.edge_correlation(self.originals, images))),
            reidentified=self._reidentified(images),
            recognised=self.accuracy(images),
            faces=faces,
            ssim_each=tuple(ssim.tolist()),
            seconds=seconds,
        )

    def _reidentified(self, images: np.ndarray) -> float:
        """By what tells most: mean colours of squares, or what a classifier sees."""
        ways: list[Callable[[np.ndarray], Any]] = [
            lambda x: metrics.region_means(x, _TILE)
        ]
        if self.recogniser is not None:
            ways.append(self.recogniser.features)
        return max(
            metrics.reidentified(way(self.originals), way(images)) for way in ways
        )

    def sheet(self, evidence: Evidence, one: Audited) -> Sheet:
        """Images from the best recovered to the worst, evenly chosen."""
        strongest = judge(evidence, one.name).attack
        found = {finding.attack: finding for finding in evidence.of(one.name)}
        ssim = np.asarray(found[strongest].ssim_each)
        order = np.argsort(-ssim, kind="stable")
        places = np.linspace(0, len(order) - 1, min(SHOWN, len(order)))
        chosen = order[np.round(places).astype(int)]
        return Sheet(
            method=one.name,
            originals=self.originals[chosen],
            recovered={
                attack: self.recovered(one, attack)[0][chosen] for attack in found
            },
            ssim=tuple(ssim[chosen].tolist()),
        )


def _file(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
