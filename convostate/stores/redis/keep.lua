-- KEEP: write the state that an answer left, remove the texts, have the replies sent.
--
-- KEYS  1 state
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 id of the worker's hold
--       4 first 33 bytes of the state that it began with, or ''  5 'keep', 'end' or 'leave' the state
--       6 the state to keep, or ''  7 its lifetime, ms  8 how long work is kept, ms  9, … replies
--
-- RETURNS  {nonce, 'done'}, or {nonce, 'lost'}: nothing is written
if not holds(ARGV[3]) then return {ARGV[1], 'lost'} end
local base, batch = KEYS[1], batch_of()
if batch == 0 then return {ARGV[1], 'done'} end -- by the call that this one repeats
local head = redis.call('GETRANGE', base, 0, 32)
if head ~= '' and head ~= ARGV[4] then return {ARGV[1], 'lost'} end
redis.call('DEL', base .. 't') -- first, as in COMMIT
redis.call('LTRIM', base .. 'm', batch, -1)
if ARGV[5] == 'end' then redis.call('DEL', base) end
if ARGV[5] == 'keep' then redis.call('SET', base, ARGV[6], 'PX', ARGV[7]) end
for index = 9, #ARGV do redis.call('RPUSH', base .. 'u', ARGV[index]) end
if ARGV[9] then redis.call('PEXPIRE', base .. 'u', ARGV[8]) end
return {ARGV[1], 'done'}
