"""StateView: a State with the interface of a framework's session class.

An adapter has one `Backing` for each app, and makes a view of the State for each request.
"""

from __future__ import annotations

import operator
import time
from collections.abc import ItemsView, MutableMapping, ValuesView
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from convostate.errors import StateError
from convostate.events import UNKEPT, log_once
from convostate.sealing import codec
from convostate.settings import LONGEST_IN_COOKIE
from convostate.state import CLOCK_KEY, NO_CONVERSATION, WEBHOOK_KEY, Session, State
from convostate.twilio.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SEQUENCES = frozenset({list, tuple, set})
_MISSING = object()


def unkept_state(environ: Mapping[str, Any]) -> State | None:
    """A State that is not stored, as the session of a webhook that belongs to no conversation.

    For apps without sessions of their own. None if the request is not a webhook.

    Args:
        environ: The request's WSGI environ, or its ASGI scope.
    """
    if type(environ.get(WEBHOOK_KEY)) is not Webhook:
        return None
    now_ms = int(environ.get(CLOCK_KEY, time.time)() * 1000)
    lifetime_ms = LONGEST_IN_COOKIE // timedelta(milliseconds=1)
    return State(
        None,
        pair=None,
        started_ms=now_ms,
        expires_ms=now_ms + lifetime_ms,
        lifetime_ms=lifetime_ms,
        locked=NO_CONVERSATION,
    )


class Backing:
    """The serializer of one app's sessions.

    Args:
        dumps: The framework's own serializer: a value to text.
        loads: The reverse.
    """

    def __init__(self, dumps: Callable[[Any], str], loads: Callable[[str], Any]) -> None:
        self._dumps = dumps
        self._loads = loads
        self.logged: set[str] = set()

    def converted(self, value: Any, within: tuple[int, ...] = ()) -> Any:
        """The value in a form that the codec accepts, through the framework's serializer if necessary.

        A value that the codec refuses even then becomes `codec.Serialized`. A value that the serializer
        refuses as well is unchanged, so that the codec's error names its place.

        Args:
            value: The value.
            within: The ids of the containers around it.
        """
        if _is_encodable(value) or id(value) in within:
            return value
        kind = type(value)
        parts = value
        if len(within) < codec.MAX_DEPTH:
            path = (*within, id(value))
            if kind is dict:
                items = value.items()
                parts = {self.converted_key(key): self.converted(item, path) for key, item in items}
            elif kind in _SEQUENCES:
                parts = kind(self.converted(item, path) for item in value)
            if _is_encodable(parts):
                return parts
        try:
            text = self._dumps(value)
            loaded = self._loads(text)
        except Exception:  # noqa: BLE001  # a serializer may raise anything
            return value
        return loaded if _is_encodable(loaded) else codec.Serialized(text)

    def converted_key(self, key: Any) -> Any:
        """The key in a form that the codec accepts, through the framework's serializer if necessary."""
        if _is_encodable({key: None}):
            return key
        try:
            (loaded,) = self._loads(self._dumps({key: None}))
        except Exception:  # noqa: BLE001  # as above
            return key
        return loaded

    def restored(self, value: Any) -> Any:
        """The value with each `codec.Serialized` in it deserialized; the same object if there is none."""
        kind = type(value)
        if kind is codec.Serialized:
            try:
                return self._loads(value)
            except Exception:  # noqa: BLE001  # of another framework's session: it stays a str
                return value
        if kind is dict:
            changed = {
                key: restored
                for key, item in value.items()
                if (restored := self.restored(item)) is not item
            }
            return value | changed if changed else value
        if kind in _SEQUENCES:
            items = [self.restored(item) for item in value]
            return kind(items) if any(map(operator.is_not, items, value)) else value
        return value


def _is_encodable(value: Any) -> bool:
    try:
        codec.encode({"": value})
    except StateError:
        return False
    return True


def _types_in(items: Mapping[Any, Any]) -> set[type]:
    """The types of all values, including those in lists, dicts, tuples and sets."""
    types, seen, todo = set(), set(), list(items.values())
    for value in todo:  # which grows
        kind = type(value)
        types.add(kind)
        if (kind is dict or kind in _SEQUENCES) and id(value) not in seen:
            seen.add(id(value))
            todo.extend(value.values() if kind is dict else value)
    return types


class StateView(Session):
    """A dict that shows the items of a State, and writes to it.

    It is a dict of its own, because the State is made before the framework makes its session, and a dict
    cannot change its class; each writes to the other. Its items are converted as the framework's own
    session converts them. If the State is read-only, the view still accepts writes, because apps write to
    their session before every request. Such writes are not stored, which is logged.

    Args:
        state: The State.
        backing: The app's serializer.

    Attributes:
        state: The State, or a writable copy.
        unkept: Why the writes are not stored, or None.
    """

    state: State

    def __init__(self, state: State, backing: Backing) -> None:
        self.unkept = str(state.locked) if isinstance(state.locked, StateError) else None
        self.state = state if self.unkept is None else state.unkept()
        self._backing = backing
        self._used: set[Any] = set()  # the keys whose values may be converted
        for key, value in state.items() if state.was_converted else ():
            restored = backing.restored(value)
            if restored is not value:
                dict.__setitem__(self.state, key, restored)
                self._used.add(key)
        super().__init__(self.state)
        self.state.session = self

    def encoded(self) -> bytes:
        """The state's items as CBOR, including items that only this session can convert.

        Raises:
            StateError: An item cannot be stored.
        """
        items = self._items()
        try:
            return codec.encode(items)
        except StateError:
            return codec.encode(self._converted(items))

    def settle(self) -> None:
        """Convert items while the request is active: a conversion may need its language, for example."""
        if not codec.TYPES.issuperset(_types_in(self.state)):
            converted = self._converted(self.state)
            for items in (self.state, self):
                dict.clear(items)
                dict.update(items, converted)

    def _items(self) -> dict[Any, Any]:
        """All items that are stored."""
        return self.state

    def _converted(self, items: dict[Any, Any]) -> dict[Any, Any]:
        converted: dict[Any, Any] = {}
        for key, item in items.items():
            if key in self._used:
                converted[self._backing.converted_key(key)] = self._backing.converted(
                    item, (id(items),)
                )
            else:
                converted[key] = item
        return converted

    @property
    def modified(self) -> bool:
        """Whether an item was set or removed; changes within items are stored without it."""
        return self.state.touched

    @modified.setter
    def modified(self, modified: bool) -> None:
        self.state.touched = modified

    @property
    def _writable(self) -> State:
        if self.unkept is not None:
            log_once(self._backing.logged, UNKEPT, self.unkept)
        return self.state

    def __repr__(self) -> str:
        return repr(self.state).replace("State", type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy, also for a task queue, is a plain dict

    # The methods of dict that hand out values, or write, without `__getitem__` or `__setitem__`.
    fromkeys = staticmethod(dict.fromkeys)  # type: ignore[assignment]  # a view needs its State
    get = MutableMapping.get  # type: ignore[assignment]  # dict's takes no keyword
    setdefault = MutableMapping.setdefault

    def __getitem__(self, key: Any) -> Any:
        self._used.add(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._writable[key] = value
        self._used.add(key)

    def __delitem__(self, key: Any) -> None:
        del self._writable[key]

    def __iter__(self) -> Iterator[Any]:
        return super().__iter__()  # with a method of its own, `dict(view)` asks `__getitem__`

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # dict's own type cannot be subclassed
        """As `dict.values`."""
        return _Values(self)

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # as above
        """As `dict.items`."""
        return _Items(self)

    def __or__(self, other: Any) -> Any:
        return dict(self).__or__(other)

    def __ror__(self, other: Any) -> Any:
        return dict(self).__ror__(other)

    def __ior__(self, other: Any) -> StateView:
        self.update(other)
        return self

    def changed(self) -> None:
        """Mark the state as changed; changes within items are stored without it."""
        self._writable.update()

    def clear(self) -> None:
        """Remove all items; the conversation continues."""
        self._writable.clear()

    def copy(self) -> dict[Any, Any]:
        """A dict of the items, as `dict.copy` returns it."""
        return dict(self)

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """As `dict.pop`."""
        if default is _MISSING or key in self:
            value = self[key]
            del self[key]
            return value
        return default

    def popitem(self) -> tuple[Any, Any]:
        """Remove the item that was added last."""
        item: tuple[Any, Any] = self._writable.popitem()
        return item

    def update(self, *args: Any, **items: Any) -> None:
        """As `dict.update`."""
        changes = dict(*args, **items)
        self._writable.update(changes)
        self._used.update(changes)


class _Values(ValuesView[Any]):
    _mapping: StateView

    def __reversed__(self) -> Iterator[Any]:
        return (self._mapping[key] for key in reversed(self._mapping))


class _Items(ItemsView[Any, Any]):
    _mapping: StateView

    def __reversed__(self) -> Iterator[tuple[Any, Any]]:
        return ((key, self._mapping[key]) for key in reversed(self._mapping))
