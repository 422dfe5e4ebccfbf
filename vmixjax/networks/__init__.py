"""The small networks of the demo, the attacks and the audit, and their training."""
