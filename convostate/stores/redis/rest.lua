-- REST: let go of a conversation, and let in who waits for that.
--
-- KEYS  1 state  2 lease  3 queue
-- ARGV  1 nonce, echoed  2 how it was sent: '1' if this may be a repetition  3 id of the worker's hold
--       4 how often what is left was tried  5 after how many us it may be taken again  6 the time, or ''
--       7 how long work is kept, ms  8 hand-over, ms
--
-- RETURNS  {nonce, 'done', texts and replies that are left} or {nonce, 'lost'}
local base = KEYS[1]
if not holds(ARGV[3]) then
  if ARGV[2] ~= '1' then return {ARGV[1], 'lost'} end
else
  redis.call('DEL', ANSWER)
  local batch = batch_of()
  if batch + ARGV[4] > 0 then
    keep_batch(batch, ARGV[4], now_us(ARGV[6]) + ARGV[5], ARGV[7])
  else
    redis.call('DEL', base .. 't')
  end
  if redis.call('EXISTS', KEYS[2]) == 0 then release(ARGV[8]) end
end
return {ARGV[1], 'done', redis.call('LLEN', base .. 'm') + redis.call('LLEN', base .. 'u')}
