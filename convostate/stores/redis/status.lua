-- STATUS: who has a conversation, and what is still to be answered and sent; for people to see.
--
-- KEYS  1 state (its name only)
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, ms until the lease ends, below 0 if it is free, turns that wait,
--           texts that wait for an answer, 1 if a worker answers, replies, dead letters}
local base = KEYS[1]
local function count(key) return redis.call('LLEN', base .. key) end
return {ARGV[1], redis.call('PTTL', base .. 'l'), count('q') + count('p'),
  count('m'), redis.call('EXISTS', base .. 'a'), count('u'), count('x')}
