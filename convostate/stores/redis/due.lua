-- DUE: lend conversations that are to be looked at by now.
--
-- KEYS  1 conversations by time in us
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 how many at most  4 for how many us  5 the time, or ''
--
-- RETURNS  {nonce, until when, name, …}
local now = now_us(ARGV[5])
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[3])
local lent = string.format('%.0f', now + ARGV[4])
for _, name in ipairs(names) do redis.call('ZADD', KEYS[1], lent, name) end
return {ARGV[1], lent, unpack(names)}
