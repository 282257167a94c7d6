-- PEEK: read the state.
--
-- KEYS  1 state
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, state or nil}
return {ARGV[1], redis.call('GET', KEYS[1])}
