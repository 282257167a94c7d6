"""Commands are packed by hiredis, or alike without it."""

from __future__ import annotations

import hiredis
import pytest
from redis.connection import PythonRespSerializer

from convostate.stores.redis import client

COMMANDS = [("PING",), ("EVALSHA", "ab" * 20, 2, "cs1:{h}", b"\x00\xff\r\n", b"", 0, 16_000, "é")]


@pytest.mark.parametrize("command", COMMANDS, ids=["one word", "words, bytes and numbers"])
def test_a_command_is_packed_alike_by_hiredis_by_redis_py_and_without_them(
    command: tuple[str | bytes | int, ...],
) -> None:
    def encode(part: str | bytes | int) -> bytes:
        return part if isinstance(part, bytes) else str(part).encode()

    theirs = b"".join(PythonRespSerializer(6000, encode).pack(*command))
    assert client.packed(command) == client.pack(command) == theirs


def test_hiredis_packs_if_it_is_installed() -> None:
    assert client.pack is hiredis.pack_command
