r"""Names of members of tar files: where the key of a sample ends, and a field begins.

A key ends at the first dot of a file's own name, so a name with dots is stored with
`%2E` for each, and a field with slashes with `%2F`. Each name has one such form, and
each form one name, so that both ways nothing is lost:

>>> key("shots/10.30.15"), name_of(key("shots/10.30.15"))
('shots/10%2E30%2E15', 'shots/10.30.15')
>>> key("10%2E30"), name_of("10%252E30")
('10%252E30', '10%2E30')
"""

import re
from pathlib import PurePosixPath

_ESCAPED_DOT = re.compile(r"\.|%(?:25)*2E")
_ESCAPED_SLASH = re.compile(r"/|%(?:25)*2f")


def key(name: str) -> str:
    """Gives the key of an image of a name, without a suffix."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + _ESCAPED_DOT.sub(_escaped, last)


def name_of(key: str) -> str:
    """Gives the name of an image that has a key: the other way round."""
    folder, slash, last = key.rpartition("/")
    return folder + slash + _ESCAPED_DOT.sub(lambda found: _plain(found, "."), last)


def suffix(field: str) -> str:
    """Gives the suffix of the members that hold a field: in small letters, as is usual.

    Fields that differ in nothing else have the same.
    """
    return _ESCAPED_SLASH.sub(_escaped, field.lower())


def parse(member: str) -> tuple[str, str]:
    """Gives the key of the sample that a member is of, and the field that it holds."""
    path = PurePosixPath(member)
    stem, _, last = path.name.partition(".")
    field = _ESCAPED_SLASH.sub(lambda found: _plain(found, "/"), last.lower())
    return (path.parent / stem).as_posix(), field


def _escaped(found: re.Match[str]) -> str:
    code = found[0]
    if len(code) == 1:
        return "%2E" if code == "." else "%2f"
    return f"%25{code[1:]}"


def _plain(found: re.Match[str], char: str) -> str:
    code = found[0]
    return char if len(code) == 3 else f"%{code[3:]}"
