-- QUEUE: who is at the conversation; for people to see.
--
-- KEYS  1 lease  2 queue of waiting turns' ids
-- ARGV  1 nonce, echoed  2 '1' where this may be a repetition (not read)
--
-- RETURNS  {nonce, ms until the lease ends, below 0 where none is held, turns that wait}
return {ARGV[1], redis.call('PTTL', KEYS[1]), redis.call('LLEN', KEYS[2])}
