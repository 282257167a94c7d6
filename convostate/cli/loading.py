"""Loading the app that an argument of ``chat``, ``phone`` or ``doctor`` names.

The forms of ``flask --app`` and gunicorn are supported:

    module:app        package.module:maker.app        fac:create_app()        fac:create_app("test")
    my-app:app        src/app:app                     ./app.py                app.py:create_app
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convostate.errors import ConvostateError, UsageError
from convostate.middleware import accepts, interface_of
from convostate.phone.views import traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_APP = re.compile(
    r"(?P<module>[\w./\\-]*[A-Za-z_][\w./\\-]*|.+\.py):(?P<name>[A-Za-z_][\w.]*(?:\(.*\))?)",
    re.DOTALL,
)
_FILE = re.compile(r"(?P<module>.+\.py|\.{1,2}[/\\].+)")
_plain = re.compile(r"[\w./\\-]+").fullmatch
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
# The names to look for if the target does not give one, in Flask's order.
_NAMES = ("app", "application", "create_app", "make_app")


def is_url(word: str) -> bool:
    """Whether a word is the URL of a running app."""
    return _URL.fullmatch(word) is not None


def is_app(word: str) -> bool:
    """Whether a word names an app: a module and a name, or a file."""
    found = _APP.fullmatch(word) or _FILE.fullmatch(word)
    if found is None or is_url(word):
        return False
    # With a blank or the like it is a text, unless there is such a file.
    return bool(_plain(found["module"])) or _is_here(found["module"])


def correct_app(word: str) -> str:
    """The correction of a word that is probably an incomplete app or URL, or ""."""
    if re.fullmatch(r"(localhost|[0-9]+(\.[0-9]+){3}):[0-9]+(/\S*)?", word):
        return f"http://{word} for the URL"
    module = word.partition(":")[0]
    file = module if "/" in module else module.replace(".", "/")
    if not is_app(word) and _plain(module) and _is_here(file):
        return f"{module}:app for the app, if app is its name there"
    return ""


def load(word: str) -> tuple[Any, Any]:
    """Import an app, from the working directory first, as servers do; return it and its module.

    Args:
        word: A module or file and, after a colon, a name or the call of a factory. Without a name it
            is ``app``, ``application``, or the result of ``create_app()`` or ``make_app()``.
    """
    found = _APP.fullmatch(word)
    name, expression = (found["module"], found["name"]) if found else (word, "")
    module = _import(name)
    if not expression:
        usual = (each for each in _NAMES if callable(getattr(module, each, None)))
        expression = next(usual, "")
    if not expression:
        raise UsageError(f"{word} has no app or create_app. Write {word}:name")
    return _evaluate(word, module, expression), module


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Report an exception of the app's own code: its traceback, and a line of advice."""
    try:
        yield
    except (ConvostateError, click.ClickException):
        raise
    except Exception as error:
        click.echo(traceback_of(error), nl=False, err=True)
        raise UsageError(
            f"{what} raises {type(error).__name__}. Fix the error in the traceback"
        ) from error


def load_object(word: str) -> Any:
    """Import the object of ``module:name``."""
    match = _APP.fullmatch(word)
    if match is None or "(" in match["name"]:
        raise UsageError(
            f"{word} is not an object. Write module:name, such as shop.sms:conversations"
        )
    return _attribute(_import(match["module"]), match["name"])


def _is_here(name: str) -> bool:
    try:
        return (
            Path(f"{name.removesuffix('.py')}.py").is_file() or Path(name, "__init__.py").is_file()
        )
    except OSError:  # the name is too long
        return False


def _import(name: str) -> Any:
    folder, module = _place(name)
    here = str(folder)
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"Cannot import {module}: {error}. "
            "Check the name and the directory, or install what is missing"
        ) from error
    except SystemExit as error:  # of a program, such as one that reads the command line
        raise UsageError(
            f"Importing {module} ends the process. Run python -c 'import {module}' to see why, and put the code that "
            'only a program runs under if __name__ == "__main__"'
        ) from error


def _place(name: str) -> tuple[Path, str]:
    """The directory to import from, and the module's full name."""
    if not (name.endswith(".py") or {"/", "\\"} & set(name)):
        return Path.cwd(), name
    path = Path(name).resolve()
    if path.suffix == ".py":
        path = path.with_suffix("")
    if not _is_here(str(path)):
        raise UsageError(f"There is no file {name}. Check the name and the directory")
    if path.name == "__init__":
        path = path.parent
    parts = [path.name]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _evaluate(word: str, module: Any, expression: str) -> Any:
    """The app of a name or of the call of a factory."""
    name, _, call = expression.partition("(")
    app = _attribute(module, name)
    if call:
        args, kwargs = _arguments(word, expression)
        app = _call(word, app, args, kwargs)
    elif _is_factory(app):
        app = _call(word, app, [], {})  # as in Flask
    if inspect.iscoroutine(app):
        app.close()
    if not interface_of(app):
        raise UsageError(
            f"{word} is not a WSGI or ASGI app. Write module:name, such as convostate.demo.counter:app"
        )
    return app


def _attribute(module: Any, name: str) -> Any:
    """The object of a dotted name."""
    value = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise UsageError(f"There is no {name} in {module.__name__}. Check the name")
    return value


def _arguments(word: str, expression: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call."""
    try:
        match ast.parse(expression, mode="eval").body:
            case ast.Call(func=ast.Name() | ast.Attribute(), args=args, keywords=keywords):
                kwargs = {str(each.arg): ast.literal_eval(each.value) for each in keywords}
                return [ast.literal_eval(each) for each in args], kwargs
    except (SyntaxError, ValueError):
        pass
    raise UsageError(
        f"{word} does not call a factory. Write module:create_app() with literal arguments only"
    )


def _call(word: str, factory: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return factory(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # in the factory's own code
        raise UsageError(
            f"{word} does not take these arguments. Write module:create_app() with valid ones"
        ) from error


def _is_factory(value: Any) -> bool:
    """Whether it is called without arguments for the app; if not, it may be the app itself."""
    if not accepts(value):
        return False
    try:
        named = inspect.signature(value).parameters.values()
    except ValueError:  # written in C
        return False
    # An app has no defaults: create_app(config=None, debug=False) takes two arguments as well.
    return not interface_of(value) or any(each.default is not each.empty for each in named)
