-- A part of every script on texts that are answered later.
-- KEYS  1 state, whose name begins those of:
--       a  lease of the worker that answers    m  mailbox: time of each text in us [16] ‖ text
--       u  outbox: the replies to be sent      t  how many texts are answered together, how often that was
--       x  dead letters, as bury has them         tried, and not before when: three numbers

local function batch_of()
  local batch, tries, not_before = (redis.call('GET', KEYS[1] .. 't') or '0 0 0'):match('(%d+) (%d+) (%d+)')
  return tonumber(batch), tonumber(tries), tonumber(not_before)
end

local function keep_batch(batch, tries, not_before, keep_ms)
  local kept = string.format('%d %d %.0f', batch, tries, not_before)
  redis.call('SET', KEYS[1] .. 't', kept, 'PX', keep_ms)
end

-- Whether a worker has the conversation; on a replica, which cannot know, this is an error.
local function holds(worker)
  if redis.call('GET', KEYS[1] .. 'a') == worker then return true end
  redis.call('DEL', KEYS[1] .. 'a' .. worker)
  return false
end
