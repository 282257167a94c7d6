"""What convostate costs, beside what it replaces: `python -m benchmarks`."""
