"""Image files to arrays and back, one file for each codec."""
