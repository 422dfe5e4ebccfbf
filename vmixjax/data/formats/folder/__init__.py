"""A folder of image files."""
