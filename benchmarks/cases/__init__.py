"""The cases: each module has a `run` that gives figures; the first line of its docstring is their title."""
