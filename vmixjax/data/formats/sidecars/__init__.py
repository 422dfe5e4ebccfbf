"""What formats share that have a file of boxes beside each image: a sidecar."""
