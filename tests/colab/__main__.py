"""Runs notebooks and stores what they put out: `python -m tests.colab [NAME...]`.

Afterwards, look at them: `jupyter nbconvert --to html colab/*.ipynb`.
"""

import sys
import tempfile

import nbformat

from tests.colab.running import NOTEBOOKS, run


def main() -> None:
    """Runs those that are named, such as `quickstart`, or all."""
    for path in NOTEBOOKS:
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(path, folder)
        # Which Python it was is no part of a notebook.
        notebook.metadata.language_info = {
            "name": "python",
            "pygments_lexer": "ipython3",
        }
        nbformat.write(notebook, path)
        print(path)


if __name__ == "__main__":
    main()
