-- ABORT: let the next turn in, or give up one's place in the queue. Does nothing after a COMMIT.
--
-- KEYS  1 state (not read)  2 lease  3 queue
-- ARGV  1 nonce, echoed  2 '1' where this may be a repetition (not read)  3 id of the turn
--       4 hand-over, ms
--
-- RETURNS  {nonce, 'done'}
if redis.call('GET', KEYS[2]) == ARGV[3] then
  release(ARGV[4])
else
  redis.call('LREM', KEYS[3], 0, ARGV[3])
end
return {ARGV[1], 'done'}
