"""The words that names of folders and fields consist of."""

import re

_TURN = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def words(name: str) -> list[str]:
    """Lists the words of a name in lower case, without digits.

    >>> words("imageId2"), words("patient_number"), words("HTTPServer.IDs")
    (['image', 'id'], ['patient', 'number'], ['http', 'server', 'ids'])
    """
    letters = re.findall(r"[^\W\d_]+", name)
    return [word.casefold() for part in letters for word in _TURN.split(part) if word]
