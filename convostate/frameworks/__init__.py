"""Adapters: inside a webhook the framework's own session is the conversation's state."""


def missing(framework: str) -> ModuleNotFoundError:
    """The error of an adapter whose framework, or a package that it needs, is not installed."""
    package = framework.lower()
    return ModuleNotFoundError(
        f"this adapter needs {framework}: pip install {package}", name=package
    )
