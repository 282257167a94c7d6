-- ERASE: remove the state, what is to be answered and sent, and take the lease from the turn in flight,
-- whose COMMIT is then lost.
--
-- KEYS  1 state  2 lease  3 queue  4 newest reply  5 list of the pair's calls
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 hand-over, ms
--       4 '1' to remove the recorded replies and the list as well
--
-- RETURNS  {nonce, 'done'}
redis.call('DEL', KEYS[1], OVER)
drop_work()
release(ARGV[3])
local key = ARGV[4] == '1' and KEYS[4]
if key then redis.call('DEL', KEYS[5]) end
while key do
  local before = redis.call('GETRANGE', key, 47, 68) -- '' if it has expired, and so have all before it
  redis.call('DEL', key)
  key = before ~= '' and before:byte(1) ~= 0 and KEYS[4] .. before
end
return {ARGV[1], 'done'}
