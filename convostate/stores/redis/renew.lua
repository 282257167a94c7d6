-- RENEW: hold a conversation for longer.
--
-- KEYS  1 state (its name only)
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 id of the worker's hold  4 its lease, ms
--
-- RETURNS  {nonce, 'done'} or {nonce, 'lost'}
if not holds(ARGV[3]) then return {ARGV[1], 'lost'} end
redis.call('PEXPIRE', KEYS[1] .. 'a', ARGV[4])
return {ARGV[1], 'done'}
