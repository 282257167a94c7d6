"""StateView: a State under the names of a framework's session class."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convostate.state import State


class StateView(MutableMapping[Any, Any]):
    """A mapping that reads and writes a State and holds nothing of its own.

    A view, because the State is made before the framework has its say, and a dict cannot take on
    another class's attributes afterwards.

    Attributes:
        state: The State.
    """

    state: State

    def __init__(self, state: State) -> None:
        self.state = state

    def __repr__(self) -> str:
        return repr(self.state).replace("State", type(self).__name__, 1)

    def __getitem__(self, key: Any) -> Any:
        return self.state[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.state[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)

    def __contains__(self, key: object) -> bool:
        return key in self.state

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**self.state, **other}

    def clear(self) -> None:
        """Remove all items; the conversation goes on."""
        self.state.clear()

    def copy(self) -> dict[Any, Any]:
        """A dict of the items, as `dict.copy` gives it."""
        return dict(self.state)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the item that was added last: `MutableMapping` takes the first, a dict the last."""
        return self.state.popitem()
