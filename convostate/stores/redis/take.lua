-- TAKE: take a conversation to answer its texts or to send its replies, and count the try.
-- Asking again with the same worker's id is harmless.
--
-- KEYS  1 state  2 lease  3 queue (not read)  4 opt-out
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 id of the worker's hold  4 its lease, ms
--       5 for how many us the person must have been silent  6 and at most how many after the first text
--       7 the time, or ''  8 how long work is kept, ms  9 us until a turn that runs may be over
--
-- RETURNS  {nonce, 'yours', state or nil, 1 if a STOP holds, ms until the state expires, which try this is,
--           {reply, …}, {text, …}}    texts only if there is no reply to be sent
--          {nonce, 'wait', us}        ask again then
--          {nonce, 'nothing'}
local base, me, now = KEYS[1], ARGV[3], now_us(ARGV[7])
local holder = redis.call('GET', base .. 'a')
if holder and holder ~= me then return {ARGV[1], 'wait', redis.call('PTTL', base .. 'a') * 1000} end
if not holder and redis.call('EXISTS', KEYS[2]) == 1 then return {ARGV[1], 'wait', tonumber(ARGV[9])} end

local replies, texts = redis.call('LRANGE', base .. 'u', 0, -1), {}
local count = redis.call('LLEN', base .. 'm')
if count + #replies == 0 then return {ARGV[1], 'nothing'} end
local batch, tries, not_before = batch_of()
if not holder then
  local from = not_before
  if #replies == 0 and batch == 0 and ARGV[5] ~= '0' then
    local first = redis.call('LINDEX', base .. 'm', 0):sub(1, 16)
    local last = redis.call('LINDEX', base .. 'm', -1):sub(1, 16)
    from = math.max(from, math.min(last + ARGV[5], first + ARGV[6]))
  end
  if from > now then return {ARGV[1], 'wait', from - now} end
  tries = tries + 1
end
if #replies == 0 then
  if batch == 0 then batch = count end
  for index, text in ipairs(redis.call('LRANGE', base .. 'm', 0, batch - 1)) do texts[index] = text:sub(17) end
end
redis.call('SET', base .. 'a', me, 'PX', ARGV[4])
keep_batch(batch, tries, not_before, ARGV[8])
local state, opted_out = redis.call('GET', base), redis.call('EXISTS', KEYS[4])
return {ARGV[1], 'yours', state, opted_out, redis.call('PTTL', base), tries, replies, texts}
