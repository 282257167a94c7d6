-- ABORT: let the next turn in, or give up one's place in the queue. Does nothing after a COMMIT.
--
-- KEYS  1 state (its name only)  2 lease  3 queue
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 id of the turn  4 hand-over, ms
--       5 how long it is kept that the turn is over, for a BEGIN that arrives late, ms; '' for not at all
--
-- RETURNS  {nonce, 'done'}
if redis.call('GET', KEYS[2]) == ARGV[3] then
  release(ARGV[4])
else
  redis.call('LREM', KEYS[3], 0, ARGV[3])
end
mark_over(ARGV[3], ARGV[5])
return {ARGV[1], 'done'}
