-- LIST_CALL: list a call under its pair, so that erasing the pair reaches it.
--
-- KEYS  1 list of the pair's calls
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 name of the call  4 life of the list, ms
--       5 how many calls a list may have
--
-- RETURNS  {nonce, 'done'}
if not redis.call('LPOS', KEYS[1], ARGV[3]) then
  redis.call('RPUSH', KEYS[1], ARGV[3])
  if redis.call('LLEN', KEYS[1]) > tonumber(ARGV[5]) then redis.call('LPOP', KEYS[1]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {ARGV[1], 'done'}
