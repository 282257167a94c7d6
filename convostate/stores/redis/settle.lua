-- SETTLE: remove texts or replies, and bury them if there is a reason.
--
-- KEYS  1 state (its name only)
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 id of the worker's hold  4 reason, or ''
--       5 the time, or ''  6 how long work is kept, ms  7 how many dead letters are kept  8, … texts or replies
-- A dead letter: 't' or 'r' [1] ‖ time in us [16] ‖ reason, blanks at its end [16] ‖ text or reply
--
-- RETURNS  {nonce, 'done'} or {nonce, 'lost'}
if not holds(ARGV[3]) then return {ARGV[1], 'lost'} end
local base = KEYS[1]
local batch, _, not_before = batch_of()
local head = string.format('%.0f%-16.16s', now_us(ARGV[5]), ARGV[4])
local texts = redis.call('LRANGE', base .. 'm', 0, batch - 1)
for index = 8, #ARGV do
  local entry, kind = ARGV[index], 'r'
  local removed = redis.call('LREM', base .. 'u', 1, entry)
  if removed == 0 then
    kind = 't'
    for _, text in ipairs(batch > 0 and texts or {}) do
      if text:sub(17) == entry then removed = redis.call('LREM', base .. 'm', 1, text) end
    end
    batch = batch - removed
  end
  if removed > 0 and ARGV[4] ~= '' then
    redis.call('RPUSH', base .. 'x', kind .. head .. entry)
    redis.call('LTRIM', base .. 'x', -ARGV[7], -1)
    redis.call('PEXPIRE', base .. 'x', ARGV[6])
  end
end
keep_batch(batch, 0, not_before, ARGV[6])
return {ARGV[1], 'done'}
