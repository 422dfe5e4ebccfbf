"""The formats of data sets, one folder each."""
