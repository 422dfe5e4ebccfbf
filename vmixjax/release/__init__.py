"""Offline mixing: image files in, mixed image files out, and the way back.

The edge of the library: files, secrets and progress bars live here and in the
command line, never in the pure functions they call.
"""
