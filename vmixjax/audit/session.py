"""Where images are protected and attacked; keeps what was done."""

import dataclasses
import functools
import importlib.metadata
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.attacks import Attack, Budget, StudyResult
from vmixjax.attacks.trial import UNPROTECTED, Trial
from vmixjax.audit.pictures import Pictures
from vmixjax.audit.results import NOTHING_DONE
from vmixjax.audit.store import Network, Store
from vmixjax.audit.utilities import ACCURACY, Utility, chosen
from vmixjax.methods import Protect, Protection
from vmixjax.metrics import METRICS, Measure, Reference
from vmixjax.networks import Classifier
from vmixjax.scenes import Scene, View, find_scenes


@dataclasses.dataclass(frozen=True)
class Audit:
    """All that decides what an audit finds.

    Attributes:
      private: The owner's images.
      public: The attacker's.
      methods: What is compared; the verdict is about the first.
      attacks: Names out of `ATTACKS`.
      budget: How much it may cost.
      seed: Of all keys. These are not the keys of any release.
    """

    private: Pictures
    public: Pictures
    methods: tuple[Protection, ...]
    attacks: tuple[str, ...]
    budget: Budget
    seed: int

    def settings(self) -> dict[str, Any]:
        """What reproduces it, and nothing of where images lie."""
        return {
            "methods": [one.name for one in self.methods],
            "attacks": list(self.attacks),
            "budget": dict(self.budget),
            "seed": self.seed,
            "images": {
                "private": self.private.fingerprint(),
                "public": self.public.fingerprint(),
            },
            "vmixjax": importlib.metadata.version("vmixjax"),
            "jax": jax.__version__,
        }


class AuditSession:
    """The images of an audit, and what is done to them.

    Args:
      audit: Whose images and budget these are.
      store: Where results are kept.
    """

    def __init__(self, audit: Audit, store: Store) -> None:
        self.audit, self.store = audit, store
        private, public = audit.private, audit.public
        self.has_classes = ACCURACY.fits(private, public)
        """Whether a classifier can be trained on public images and asked of private."""
        self.learned, self.remarks = chosen(private, public)
        """What networks learn, None for nothing; and what people must know of that."""
        self._clean = Trial(
            protection=UNPROTECTED,
            images=jnp.asarray(private.images),
            public=jnp.asarray(public.images),
            labels=_labels(private),
            public_labels=_labels(public) if self.has_classes else None,
            classes=len(private.classes),
            seed=audit.seed,
            budget=audit.budget,
            scenes=self._scenes(),
        )

    def _scenes(self) -> tuple[Scene, ...]:
        """The scenes that several of the owner's images show, at the audit's size."""

        def find() -> list[list[View]]:
            found = find_scenes(self.audit.private.images)
            return [list(scene.views) for scene in found]

        stored = self.store.values(("scenes",), find)
        return tuple(Scene(tuple(View(*view) for view in views)) for views in stored)

    def trial(self, protection: Protection) -> Trial:
        """The images under a protection."""
        return dataclasses.replace(
            self._clean,
            protection=protection,
            classifier=lambda: self._attackers_network(protection),
            clean_classifier=lambda: self._attackers_network(UNPROTECTED),
        )

    # What can be learned from images, and recognised in them

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """The classifier that was trained on clean public images."""
        return self._attackers_network(UNPROTECTED) if self.has_classes else None

    @functools.cached_property
    def measures(self) -> dict[str, Measure | None]:
        """What images that came back are measured by, against the owner's."""
        private = self.audit.private
        reference = Reference(private.images, private.labels, self.classifier)
        return {name: metric.prepare(reference) for name, metric in METRICS.items()}

    def utility(self, protection: Protection) -> float | None:
        """The score, on protected images, of a network trained on protected ones."""
        learned = self.learned
        if learned is None:
            return None

        def find() -> float:
            trial = self.trial(protection)
            network = self._users_network(protection, learned)
            protected = trial.protect(trial.images)
            return learned.score(network, protected, self.audit.private)

        return float(self.store.values((protection.name, learned.name), find))

    def _users_network(self, protection: Protection, learned: Utility) -> Network:
        """A network trained on images that the owner protected."""
        protect = protection.protect
        if protection.keys == "one":
            owner_key = self.trial(protection).owner_key
            return self._network(
                protection,
                learned,
                learned.stored,
                lambda _, image: protect(owner_key, image),
            )
        # By keys of its own for each, like an attacker's: one network is enough.
        return self._network(protection, learned, learned.stored, protect)

    def _attackers_network(self, protection: Protection) -> Classifier:
        """A classifier trained on images that an attacker protected."""
        own = "attackers-" if protection.keys == "one" else ""
        name = f"{own}{ACCURACY.stored}"
        network = self._network(protection, ACCURACY, name, protection.protect)
        assert isinstance(network, Classifier)
        return network

    def _network(
        self, protection: Protection, learned: Utility, name: str, protect: Protect
    ) -> Network:
        key = self.trial(protection).key("learned", protection.name)
        public, budget = self.audit.public, self.audit.budget
        return self.store.network(
            (protection.name, name),
            learned.begin(key, public, budget),
            lambda: learned.learn(key, public, budget, protect),
        )

    # Protecting and attacking

    def protected(self, protection: Protection) -> np.ndarray:
        """The owner's images, protected."""
        return np.asarray(self.trial(protection).protect(self._clean.images))

    def recovered(
        self, protection: Protection, attack: Attack | None
    ) -> tuple[np.ndarray, float]:
        """What an attack gives back, and the seconds it took; None does nothing."""
        name = NOTHING_DONE if attack is None else attack.name

        def find() -> dict[str, Any]:
            start = time.monotonic()
            trial = self.trial(protection)
            images = trial.protect(trial.images)
            if attack is not None and attack.recover is not None:
                key = trial.key(attack.name, protection.name)
                images = attack.recover(key, images, trial.threat_model, trial.budget)
            found = np.asarray(images)
            return {"images": found, "seconds": time.monotonic() - start}

        stored = self.store.arrays((protection.name, name), find)
        return stored["images"], float(stored["seconds"])

    def recognised(self, protection: Protection, attack: Attack) -> tuple[float, float]:
        """The share of classes that an attack tells, and the seconds it took."""
        assert attack.recognise is not None
        start = time.monotonic()
        trial = self.trial(protection)
        key = trial.key(attack.name, protection.name)
        images = trial.protect(trial.images)
        classes = attack.recognise(key, images, trial.threat_model, trial.budget)
        share = float(np.mean(np.asarray(classes) == np.asarray(trial.labels)))
        return share, time.monotonic() - start

    def studied(self, protection: Protection, attack: Attack) -> StudyResult:
        """What an attack's study finds on a protection."""
        study = attack.study
        assert study is not None
        name, trial = protection.name, self.trial(protection)
        run = functools.cache(lambda: study.run(trial))
        # The pictures first: where the values are there, so are they.
        pictures: dict[str, np.ndarray] = {}
        if study.captions:
            pictures = self.store.arrays(
                (name, study.name),
                lambda: {"originals": run().originals, **run().pictures},
            )
        values = self.store.values((name, study.name), lambda: run().values)
        return StudyResult(values, pictures.pop("originals", None), pictures)


def _labels(pictures: Pictures) -> jax.Array | None:
    return None if pictures.labels is None else jnp.asarray(pictures.labels)
