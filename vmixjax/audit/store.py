"""What an audit has found so far, in a folder, so that it goes on where it was."""

import dataclasses
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import numpy as np

from vmixjax.atomic import atomic_path
from vmixjax.networks.trainer import Graph, Parameters


class Network(Protocol):
    """A trained network: a dataclass of these, and perhaps others."""

    @property
    def graph(self) -> Graph:
        """What it is, but for its weights."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Its weights."""
        ...


NetworkT = TypeVar("NetworkT", bound=Network)


class Store:
    """Results by name: each is found once, and only whole ones are there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def values(
        self,
        names: tuple[str, ...],
        find: Callable[[], Any],
        *,
        needed: Collection[str] = (),
    ) -> Any:
        """Numbers and texts, as JSON has them; found anew where some are lacking."""
        note = self._path(names, "json")
        if note.exists():
            there = json.loads(note.read_text())
            if all(name in there for name in needed):
                return there
        found = find()
        with atomic_path(note) as file:
            file.write(json.dumps(found).encode())
        return json.loads(note.read_text())

    def arrays(
        self, names: tuple[str, ...], find: Callable[[], dict[str, Any]]
    ) -> dict[str, np.ndarray]:
        """Arrays by name."""
        note = self._path(names, "npz")
        if not note.exists():
            found = find()
            with atomic_path(note) as file:
                np.savez(file, **found)
        with np.load(note) as stored:
            return dict(stored)

    def network(
        self,
        names: tuple[str, ...],
        untrained: NetworkT,
        train: Callable[[], NetworkT],
    ) -> NetworkT:
        """A trained network; `untrained` is one of the same shape."""

        def find() -> dict[str, Any]:
            found = jax.tree.leaves(train().parameters)
            return {str(i): np.asarray(leaf) for i, leaf in enumerate(found)}

        stored = self.arrays(names, find)
        structure = jax.tree.structure(untrained.parameters)
        leaves = [stored[str(i)] for i in range(len(stored))]
        parameters = jax.tree.unflatten(structure, leaves)
        return dataclasses.replace(untrained, parameters=parameters)  # type: ignore[type-var]

    def _path(self, names: tuple[str, ...], suffix: str) -> Path:
        plain = "-".join(
            "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
            for name in names
        )
        return self.folder / f"{plain}.{suffix}"
