"""What must hold for any bytes: `targets.py` says it, `python -m tests.fuzz` looks for bytes that break it."""
