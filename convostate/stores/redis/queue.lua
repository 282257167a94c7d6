-- QUEUE: who is at the conversation; for people to see.
--
-- KEYS  1 lease  2 queue of waiting turns' ids
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, ms until the lease ends, below 0 if it is free, turns that wait}
return {ARGV[1], redis.call('PTTL', KEYS[1]), redis.call('LLEN', KEYS[2])}
