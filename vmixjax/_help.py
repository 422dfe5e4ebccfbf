"""Help that ends with an example: there the eye is when a terminal stops scrolling."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence


@contextlib.contextmanager
def example_last(
    arguments: Sequence[str], examples: Mapping[str, str]
) -> Iterator[None]:
    """Prints an example after the help that the parser in this context prints.

    Args:
      arguments: of the command line, the command first.
      examples: by command; `""` for help without one.
    """
    try:
        yield
    except SystemExit as stop:
        if not stop.code and {"-h", "--help"} & set(arguments):
            print(f"Example: {examples.get(arguments[0], examples[''])}")
        raise
