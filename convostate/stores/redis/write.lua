-- WRITE: write the state in the middle of a turn, which goes on with a whole lease.
--
-- KEYS  1 state  2 lease
-- ARGV  1 nonce, echoed  2 how it was sent: '1' if this may be a repetition  3 id of the turn  4 lease, ms
--       5 first 33 bytes of the state that the turn began with or wrote last, or ''
--       6 the state, or '' for none  7 its lifetime, ms
--       8 first 33 bytes of the state that an earlier WRITE of the turn had, or ''; if its answer
--         was lost, either of the two may be stored
--
-- RETURNS  {nonce, 'done'}
--          {nonce, 'lost'}  as COMMIT: nothing is written
--          {nonce, 'unknown'}  the lease is another's, and the call that this one repeats may have written
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  redis.call('DEL', KEYS[2] .. ARGV[3]) -- as in COMMIT: a replica refuses it
  return {ARGV[1], ARGV[2] == '1' and 'unknown' or 'lost'}
end
local head = redis.call('GETRANGE', KEYS[1], 0, 32)
local repeated = ARGV[2] == '1' and head == ARGV[6]:sub(1, 33)
if head ~= '' and head ~= ARGV[5] and head ~= ARGV[8] and not repeated then
  return {ARGV[1], 'lost'}
end
if ARGV[6] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7])
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {ARGV[1], 'done'}
