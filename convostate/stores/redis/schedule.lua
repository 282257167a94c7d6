-- SCHEDULE: say when a conversation is to be looked at.
--
-- KEYS  1 conversations by time in us
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 name of the conversation  4 the time that it was
--       lent until, or ''  5 after how many us, or '' for not at all  6 the time, or ''  7 life of the key, ms
--
-- RETURNS  {nonce, 'done'}
--          {nonce, 'changed'}  a text has come meanwhile, or the time is over: it comes again by itself
local now = now_us(ARGV[6])
if ARGV[4] ~= '' then
  local at = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[3]) or 0)
  if at ~= tonumber(ARGV[4]) or at <= now then return {ARGV[1], 'changed'} end
end
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[1], ARGV[3])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[5]), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
end
return {ARGV[1], 'done'}
