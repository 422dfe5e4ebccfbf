"""Data sets: examples, the codecs of images, the formats that hold them."""
