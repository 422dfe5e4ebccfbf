"""Where images are protected, attacked and measured; keeps what was done."""

import functools
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
from vmixjax.attacks.averaging import average
from vmixjax.attacks.gradient_inversion import GradientOf, gradient_inversion
from vmixjax.attacks.jigsaw import jigsaw
from vmixjax.attacks.known_plaintext import known_pairs, known_plaintext_half_bytes
from vmixjax.attacks.reconstruction import restoration
from vmixjax.attacks.region_means import thumbnail
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.audit.budgets import CLASSIFIER_BATCH, RESTORATION_BATCH, Budget
from vmixjax.audit.federated import federated_gradient
from vmixjax.audit.members import find_members
from vmixjax.audit.pictures import Pictures
from vmixjax.audit.results import (
    CLEAN,
    AttackResult,
    Inversion,
    KeySharing,
    Membership,
    MethodResult,
    Sheet,
)
from vmixjax.audit.store import Store
from vmixjax.methods import Protect, Protection
from vmixjax.networks.classifier import (
    Classifier,
    train_classifier,
    untrained_classifier,
)

SHOWN = 10
"""Images in a contact sheet, at most."""

_SQUARE = 8
"""Over which mean colours are taken, to tell images apart."""

_QUERIES = 4
"""How often a network is asked about an image, each time with another key."""

_TOGETHER = 64
"""Images handled at once."""


def _unchanged(key: jax.Array, image: jax.Array) -> jax.Array:
    del key
    return image


def _unprotected(name: str) -> Protection:
    return Protection(_unchanged, "none", name=name, title=name)


UNPROTECTED = _unprotected(CLEAN)
GUESS = _unprotected("guess")
"""Stands for the mean public image, that somebody guesses who saw nothing."""


class AuditSession:
    """The images of an audit, and everything that is done to them."""

    def __init__(
        self,
        private: Pictures,
        public: Pictures,
        budget: Budget,
        seed: int,
        work: Path,
    ) -> None:
        self.budget, self.seed = budget, seed
        self.private, self.attacker = private, public
        self.originals = private.images
        self.images = jnp.asarray(private.images)
        self.public = jnp.asarray(public.images)
        self.store = Store(work)
        self.labelled = private.labels is not None and public.labels is not None
        if self.labelled and private.classes != public.classes:
            tqdm.write(
                "vmixjax: --public has other classes than SRC; recognition is not "
                "measured"
            )
            self.labelled = False

    # What can be learned from images, and recognised in them

    @functools.cached_property
    def recogniser(self) -> Classifier | None:
        """The classifier that was trained on clean public images."""
        return self._network(UNPROTECTED) if self.labelled else None

    def learned(self, one: Protection) -> float | None:
        """Accuracy, on protected images, of a classifier trained on protected ones."""
        if not self.labelled:
            return None
        return float(
            self.store.values(
                (one.name, "learned"),
                lambda: self._network(one).accuracy(
                    self.protect(one, self.images), self._labels
                ),
            )
        )

    def _network(self, one: Protection) -> Classifier:
        protect = one.protect
        if one.keys == "one":
            # A network learns from what the owner's one key makes of images.
            protect = functools.partial(_with_key, protect, self._owner_key(one))
        classes = len(self.attacker.classes)
        width = self.budget.recogniser_width
        key = self._key("learned", one.name)
        return self.store.classifier(
            (one.name, "network"),
            untrained_classifier(key, self.public.shape[-1], classes, width=width),
            lambda: train_classifier(
                key,
                self.public,
                self._public_labels,
                classes=classes,
                steps=self.budget.recogniser_steps,
                batch_size=CLASSIFIER_BATCH,
                width=width,
                protect=protect,
            ),
        )

    # Protecting and attacking

    def protect(self, one: Protection, images: jax.Array, *names: str) -> jax.Array:
        """Images, protected as the method says, with keys that the names decide."""
        if one.keys == "one":
            keys = jnp.broadcast_to(self._owner_key(one), (len(images),))
        else:
            key = self._key("owner", one.method, *names)
            keys = jax.vmap(vmixjax.image_key, (None, 0))(key, jnp.arange(len(images)))
        return _protected(one.protect, keys, images)

    def protection(
        self, one: Protection, vfe: Callable[[np.ndarray], float]
    ) -> MethodResult:
        """What is known of a method before any attack."""
        measured = self.store.values(
            (one.name, "vfe"), lambda: vfe(np.asarray(self.protect(one, self.images)))
        )
        return MethodResult(
            one.name, one.title, one.remark, measured, self.learned(one), one.mixes
        )

    def recovered(self, one: Protection, attack: str) -> tuple[np.ndarray, float]:
        """What an attack gives back, and the seconds it took."""

        def find() -> dict[str, Any]:
            start = time.monotonic()
            images = np.asarray(self._attack(one, attack))
            return {"images": images, "seconds": time.monotonic() - start}

        stored = self.store.arrays((one.name, attack), find)
        return stored["images"], float(stored["seconds"])

    def _attack(self, one: Protection, attack: str) -> jax.Array:
        budget = self.budget
        key = self._key(attack, one.name)
        protected = self.protect(one, self.images)
        knowledge = self._knowledge(one)
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
                batch_size=RESTORATION_BATCH,
                width=budget.restoration_width,
            )
        if attack == "average":
            return self._average(one, key, protected, knowledge)
        if attack == "jigsaw":
            assert one.channels is not None
            return jigsaw(key, protected, knowledge, channels=one.channels)
        return self._known_pairs(one, protected, self._pairs(one))

    def _average(
        self,
        one: Protection,
        key: jax.Array,
        protected: jax.Array,
        knowledge: ThreatModel,
    ) -> jax.Array:
        repeats = np.stack(
            [
                np.asarray(self.protect(one, self.images, f"again {i}"))
                for i in range(self.budget.repeats)
            ]
        )
        # As floats, all at once would not fit into memory.
        pieces = [
            average(
                key,
                protected[i : i + _TOGETHER],
                knowledge,
                repeats=repeats[:, i : i + _TOGETHER],
            )
            for i in range(0, len(protected), _TOGETHER)
        ]
        return jnp.concatenate(pieces)

    def _pairs(self, one: Protection) -> jax.Array:
        return self.protect(one, self.public[: self.budget.pairs], "pairs")

    def _known_pairs(
        self, one: Protection, protected: jax.Array, pairs_protected: jax.Array
    ) -> jax.Array:
        find: Callable[..., jax.Array] = known_plaintext_half_bytes
        if one.channels is not None:
            find = functools.partial(known_pairs, channels=one.channels)
        return find(
            self._key("known_pairs", one.name),
            protected,
            self._knowledge(one),
            originals=self.public[: self.budget.pairs],
            pairs_protected=pairs_protected,
        )

    def _knowledge(self, one: Protection) -> ThreatModel:
        labels = jnp.asarray(self._public_labels) if self.labelled else None
        return ThreatModel(one.protect, self.public, one.region, one.block, labels)

    def key_sharing(self, one: Protection) -> KeySharing:
        """What `known_pairs` gets if all images, and the pairs, have one key."""

        def find() -> dict[str, Any]:
            shared = functools.partial(
                _with_key, one.protect, self._key("shared", one.name)
            )
            pairs = self.public[: self.budget.pairs]
            both = [
                _protected(shared, jax.random.split(self._key(), len(images)), images)
                for images in (self.images, pairs)
            ]
            return {
                "pairs": len(pairs),
                "by_chance": self._right(self.recovered(one, "none")[0]),
                "own_keys": self._right(self.recovered(one, "known_pairs")[0]),
                "one_key": self._right(np.asarray(self._known_pairs(one, *both))),
            }

        values = self.store.values((one.name, "key_sharing"), find)
        return KeySharing(method=one.name, **values)

    def _right(self, images: np.ndarray) -> float:
        """Share of the values that are the original's."""
        return float((images == self.originals).mean())

    # Training on images

    def membership(self, one: Protection) -> Membership:
        """Who was among those that a network was trained on."""

        def find() -> dict[str, Any]:
            half = min(self.budget.members, len(self.images)) // 2
            return find_members(
                self._key("membership", one.name),
                self.images[: 2 * half],
                jnp.asarray(self._labels[: 2 * half]),
                self._knowledge(one),
                classes=len(self.private.classes),
                steps=self.budget.member_steps,
                width=self.budget.recogniser_width,
                queries=1 if one is UNPROTECTED else _QUERIES,
            )

        values = self.store.values((one.name, "membership"), find)
        return Membership(method=one.name, **values)

    def inversion(self, one: Protection) -> tuple[Inversion, Sheet]:
        """What the gradients of single images tell of them."""
        count = self.budget.inversions
        originals = self.originals[:count]
        sent = np.asarray(self.protect(one, self.images[:count], "sent"))

        def find() -> dict[str, Any]:
            labels = jnp.zeros(len(sent), jnp.int32)
            if self.private.labels is not None:
                labels = jnp.asarray(self.private.labels[:count])
            values = jnp.asarray(sent, jnp.float32) / 255
            images = gradient_inversion(
                self._key("gradient_inversion", one.name),
                sent,
                self._knowledge(one),
                gradient_of=self._gradient_of,
                gradients=jax.vmap(self._gradient_of)(values, labels),
                labels=labels,
                steps=self.budget.inversion_steps,
                restarts=1,
            )
            return {"images": np.asarray(images)}

        found = self.store.arrays((one.name, "gradient_inversion"), find)["images"]

        def alike(some: np.ndarray, others: np.ndarray) -> tuple[float, float]:
            decibels = np.minimum(metrics.psnr(some, others), 99)
            return float(decibels.mean()), float(metrics.ssim(some, others).mean())

        inversion = Inversion(
            one.name,
            len(sent),
            *alike(originals, found),
            *alike(sent, found),
            *alike(originals, sent),
        )
        pictures = {"sent": sent[:SHOWN], "gradient_inversion": found[:SHOWN]}
        ssim = metrics.ssim(originals[:SHOWN], found[:SHOWN]).tolist()
        return inversion, Sheet(one.name, originals[:SHOWN], pictures, tuple(ssim))

    @functools.cached_property
    def _gradient_of(self) -> GradientOf:
        classes = max(len(self.private.classes), 2)
        return federated_gradient(self._key("federated"), self.private.shape, classes)

    # Measuring

    def finding(self, one: Protection, attack: str) -> AttackResult:
        """An attack, measured."""
        values = self.store.values(
            (one.name, attack), lambda: self._measured(*self._images(one, attack))
        )
        return AttackResult(method=one.name, attack=attack, **values)

    def _images(self, one: Protection, attack: str) -> tuple[np.ndarray, float]:
        if one is GUESS:
            mean = np.round(self.attacker.images.mean(0)).astype(np.uint8)
            return np.broadcast_to(mean, self.originals.shape), 0.0
        return self.recovered(one, attack)

    def _measured(self, images: np.ndarray, seconds: float) -> dict[str, Any]:
        """Images that came back, against the originals."""
        ssim = metrics.ssim(self.originals, images)
        showing = self._showing_faces
        faces, recognised = None, None
        if showing.any():
            faces = float((metrics.faces(images[showing]) > 0).mean())
        if self.recogniser is not None:
            recognised = self.recogniser.accuracy(images, self._labels)
        return {
            "psnr": float(np.minimum(metrics.psnr(self.originals, images), 99).mean()),
            "ssim": float(ssim.mean()),
            "edges": float(metrics.edge_correlation(self.originals, images).mean()),
            "reidentified": self._reidentified(images),
            "recognised": recognised,
            "faces": faces,
            "ssim_each": ssim.tolist(),
            "seconds": seconds,
        }

    @functools.cached_property
    def _showing_faces(self) -> np.ndarray:
        """Bool (N,): in which originals a face is seen."""
        found = self.store.arrays(
            ("originals", "faces"), lambda: {"faces": metrics.faces(self.originals)}
        )
        return found["faces"] > 0

    def _reidentified(self, images: np.ndarray) -> float:
        """By what tells most: mean colours of squares, or what a classifier sees."""
        ways: list[Callable[[np.ndarray], Any]] = [
            lambda x: metrics.region_means(x, _SQUARE)
        ]
        if self.recogniser is not None:
            ways.append(self.recogniser.features)
        return max(
            metrics.reidentified(way(self.originals), way(images)) for way in ways
        )

    # Keys

    def _owner_key(self, one: Protection) -> jax.Array:
        """The one key of a data set, whatever is protected with it."""
        return self._key("owner", one.method)

    def _key(self, *names: str) -> jax.Array:
        key = jax.random.key(self.seed, impl="threefry2x32")
        for name in names:
            key = jax.random.fold_in(key, zlib.crc32(name.encode()))
        return key

    @property
    def _labels(self) -> np.ndarray:
        assert self.private.labels is not None
        return self.private.labels

    @property
    def _public_labels(self) -> np.ndarray:
        assert self.attacker.labels is not None
        return self.attacker.labels


def _with_key(
    protect: Protect, key: jax.Array, other: jax.Array, image: jax.Array
) -> jax.Array:
    del other
    return protect(key, image)


def _protected(protect: Protect, keys: jax.Array, images: jax.Array) -> jax.Array:
    return jax.lax.map(
        lambda pair: protect(*pair), (keys, images), batch_size=_TOGETHER
    )
