-- BACKLOG: what is to be done for a conversation; for people to see.
--
-- KEYS  1 state (its name only)
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, texts, 1 if a worker is at it, replies, dead letters}
local base = KEYS[1]
return {ARGV[1], redis.call('LLEN', base .. 'm'), redis.call('EXISTS', base .. 'a'),
  redis.call('LLEN', base .. 'u'), redis.call('LLEN', base .. 'x')}
