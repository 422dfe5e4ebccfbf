"""Things that come in kinds: one entry for each, ours and those of other packages.

A registry names the place of each entry and imports it when it is first used, so that
listing names costs nothing. Other packages add entries through entry points:

    [project.entry-points."vmixjax.attacks"]
    mine = "my_package.my_attack:ATTACK"
"""

import functools
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from vmixjax.errors import RunError, none_of


class Entry(Protocol):
    """What a registry holds: something that knows its own name."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...


EntryT = TypeVar("EntryT", bound=Entry)


class Registry(Mapping[str, EntryT], Generic[EntryT]):
    """Entries of one kind by name, in the order in which they are shown.

    Args:
      group: of the entry points, such as `"vmixjax.attacks"`.
      entry_type: class of the entries.
      own: place of each entry of ours, `"module:attribute"`, by name.
    """

    def __init__(
        self, group: str, entry_type: type[EntryT], own: Mapping[str, str]
    ) -> None:
        self._group, self._type, self._own = group, entry_type, own
        self._loaded: dict[str, EntryT] = {}

    @functools.cached_property
    def _places(self) -> dict[str, importlib.metadata.EntryPoint]:
        """Ours first; nobody can put another in the place of one of ours."""
        places = {
            name: importlib.metadata.EntryPoint(name, value, self._group)
            for name, value in self._own.items()
        }
        for point in importlib.metadata.entry_points(group=self._group):
            if point.name in places:
                raise RunError(
                    f"the entry point {point.name} = {point.value} of {self._group} "
                    f"has a name that is taken; rename it in its package"
                )
            places[point.name] = point
        return places

    def __getitem__(self, name: str) -> EntryT:
        if name not in self._loaded:
            point = self._places[name]
            try:
                entry = point.load()
            except (ImportError, AttributeError) as error:
                if name in self._own:
                    # What is missing there is an extra of ours, which others name.
                    raise
                raise RunError(
                    f"the entry point {name} = {point.value} of {self._group} cannot "
                    f"be loaded ({error}); mend or remove the package that brings it"
                ) from error
            if not isinstance(entry, self._type) or entry.name != name:
                raise RunError(
                    f"the entry point {name} = {point.value} of {self._group} must be "
                    f"a {self._type.__name__} called {name!r}; mend it in its package"
                )
            self._loaded[name] = entry
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def find(self, option: str, name: str, *, like: str | None = None) -> EntryT:
        """Gives the entry of a name that an option has, perhaps as a part of `like`.

        Raises:
          RunError: there is none; the nearest names are in the message.
        """
        if name not in self._places:
            raise RunError(none_of(option, like or name, tuple(self), like=name))
        return self[name]
