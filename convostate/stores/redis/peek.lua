-- PEEK: read the state.
--
-- KEYS  1 state
-- ARGV  1 nonce, echoed  2 '1' where this may be a repetition (not read)
--
-- RETURNS  {nonce, state or nil}
return {ARGV[1], redis.call('GET', KEYS[1])}
