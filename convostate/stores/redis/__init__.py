"""RedisStore: conversations in Redis or Valkey, one turn after another on all hosts."""

from convostate.stores.redis.store import RedisStore as RedisStore
