-- DEAD_LETTERS: the dead letters of a conversation, which can be put back.
--
-- KEYS  1 state (its name only)
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 '1' to put them back: texts before those that wait
--       4 how long work is kept, ms
--
-- RETURNS  {nonce, dead letter, …}
local base = KEYS[1]
local letters = redis.call('LRANGE', base .. 'x', 0, -1)
if ARGV[3] == '1' and #letters > 0 then
  local batch = batch_of()
  local waiting = redis.call('LRANGE', base .. 'm', batch, -1)
  redis.call('DEL', base .. 'x')
  for _, text in ipairs(waiting) do redis.call('LREM', base .. 'm', 1, text) end
  for _, letter in ipairs(letters) do
    if letter:sub(1, 1) == 't' then
      redis.call('RPUSH', base .. 'm', letter:sub(2, 17) .. letter:sub(34))
    else
      redis.call('RPUSH', base .. 'u', letter:sub(34))
    end
  end
  for _, text in ipairs(waiting) do redis.call('RPUSH', base .. 'm', text) end
  redis.call('PEXPIRE', base .. 'm', ARGV[4])
  redis.call('PEXPIRE', base .. 'u', ARGV[4])
end
return {ARGV[1], unpack(letters)}
