"""Finding the app that a word of the command line names: ``chat``, ``phone`` and ``doctor`` read it alike.

As ``flask --app`` and gunicorn have it::

    module:app        package.module:maker.app        fac:create_app()        fac:create_app("test")
    my-app:app        src/app:app                     ./app.py                app.py:create_app
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from convostate.errors import UsageError
from convostate.middleware import interface_of

if TYPE_CHECKING:
    from collections.abc import Callable

_APP = re.compile(
    r"(?P<module>[\w./\\-]*[A-Za-z_][\w./\\-]*):(?P<name>[A-Za-z_][\w.]*(?:\(.*\))?)", re.DOTALL
)
_FILE = re.compile(r"[\w./\\-]+\.py|\.{1,2}[/\\][\w./\\-]+")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
# What an app is called if the word does not say so; as flask looks for it.
_NAMES, _FACTORIES = ("app", "application"), ("create_app", "make_app")


class Loaded(NamedTuple):
    """An app that was found.

    Attributes:
        app: The app.
        module: The module that it was found in.
    """

    app: Any
    module: Any


def is_url(word: str) -> bool:
    """Whether a word is meant as the URL of a running app."""
    return _URL.fullmatch(word) is not None


def is_app(word: str) -> bool:
    """Whether a word names an app: a module and a name, or a file."""
    return not is_url(word) and bool(_APP.fullmatch(word) or _FILE.fullmatch(word))


def half_an_app(word: str) -> str:
    """What to write instead of a word that was probably meant as an app or a URL, or ""."""
    if re.fullmatch(r"(localhost|[0-9]+(\.[0-9]+){3}):[0-9]+(/\S*)?", word):
        return f"http://{word} for the URL"
    module = word.partition(":")[0]
    if not is_app(word) and re.fullmatch(r"[\w./\\-]+", module) and _is_here(module):
        return f"{module}:app for the app"
    return ""


def load(word: str) -> Loaded:
    """Import an app, looking in the working directory first, as servers do.

    Args:
        word: A module or file and, after a colon, a name or the call of a factory. Without a name it
            is ``app``, ``application``, or what ``create_app()`` or ``make_app()`` gives.

    Raises:
        UsageError: There is no such app, or importing it fails for want of another module.
    """
    found = _APP.fullmatch(word)
    name, expression = (found["module"], found["name"]) if found else (word, "")
    module = _import(name)
    app = _evaluate(word, module, expression) if expression else _default(word, module)
    return Loaded(app, module)


def load_object(word: str) -> Any:
    """Import what ``module:name`` names.

    Raises:
        UsageError: There is no such thing.
    """
    found = _APP.fullmatch(word)
    if found is None or "(" in found["name"]:
        raise UsageError(f"{word} is not module:name. Write it so, such as shop.sms:conversations")
    thing: Any = _import(found["module"])
    for part in found["name"].split("."):
        thing = getattr(thing, part, None)
    if thing is None:
        raise UsageError(f"There is no {found['name']} in {found['module']}. Check the name")
    return thing


def _is_here(name: str) -> bool:
    try:
        return (
            Path(f"{name.removesuffix('.py')}.py").is_file() or Path(name, "__init__.py").is_file()
        )
    except OSError:  # longer than a name can be
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


def _place(name: str) -> tuple[Path, str]:
    """The directory to import from, and the module's full name.

    Raises:
        UsageError: It is a file, and there is none.
    """
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


def _default(word: str, module: Any) -> Any:
    """The app of a module that is named without one.

    Raises:
        UsageError: It has none of the usual names.
    """
    for name in (*_NAMES, *_FACTORIES):
        if callable(getattr(module, name, None)):
            return _evaluate(word, module, name)
    raise UsageError(f"{word} has no app or create_app. Write {word}:name")


def _evaluate(word: str, module: Any, expression: str) -> Any:
    """The app that a name or the call of a factory gives.

    Raises:
        UsageError: It is neither, or gives no app.
    """
    name, _, call = expression.partition("(")
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if call:
        args, named = _arguments(word, expression)
        found = _called(word, found, args, named)
    elif not _is_app(found) and _takes(found):
        found = _called(word, found, [], {})  # a factory, as flask has it
    if not _is_app(found):
        raise UsageError(
            f"{word} is not a WSGI app. Write module:name, such as convostate.demo.counter:app"
        )
    return found


def _arguments(word: str, expression: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call.

    Raises:
        UsageError: It is not one call of a name, or its arguments are not literals.
    """
    try:
        match ast.parse(expression, mode="eval").body:
            case ast.Call(func=ast.Name() | ast.Attribute(), args=args, keywords=keywords):
                named = {str(each.arg): ast.literal_eval(each.value) for each in keywords}
                return [ast.literal_eval(each) for each in args], named
    except (SyntaxError, ValueError):
        pass
    raise UsageError(
        f"{word} does not call a factory. Write module:create_app() with literal arguments only"
    )


def _called(word: str, factory: Callable[..., Any], args: list[Any], named: dict[str, Any]) -> Any:
    try:
        return factory(*args, **named)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # in the factory's own code
        raise UsageError(
            f"{word} does not take these arguments. Write module:create_app() with those it takes"
        ) from error


def _is_app(found: Any) -> bool:
    """Whether it can be called as PEP 3333 or ASGI has it."""
    return _takes(found, {}, None) or interface_of(found) == "ASGI"


def _takes(found: Any, *args: object) -> bool:
    """Whether it can be called with these arguments; what does not tell may be."""
    try:
        inspect.signature(found).bind(*args)
    except TypeError:
        return False
    except ValueError:  # written in C
        return callable(found)
    return True
