"""The shuffle: stages of random turns, their bits, their application."""
