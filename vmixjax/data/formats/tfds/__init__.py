"""Data sets as TFDS has them."""
