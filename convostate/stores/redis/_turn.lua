-- A part of every script that may release a turn.
-- KEYS  1 state  2 lease  3 queue

-- A worker's lease, and the queue of texts that are answered later. These do not wait for an answer that
-- is under way, and all other turns do.
local ANSWER, DEFERRED = KEYS[1] .. 'a', KEYS[1] .. 'p'
-- Nothing is to be answered or sent, and a worker that does it has lost its lease.
local function drop_work()
  local base = KEYS[1]
  redis.call('DEL', base .. 'a', base .. 'm', base .. 'u', base .. 't', base .. 'x')
end

-- The ids of the last 64 turns of which neither the state nor a reply shows that they are over.
local OVER = KEYS[1] .. 'd'
local function mark_over(turn, mark_ms)
  if mark_ms ~= '' then redis.call('SET', OVER, (turn .. (redis.call('GET', OVER) or '')):sub(1, 1024), 'PX', mark_ms) end
end

-- Wake a turn that waits on an event loop, which hears of all its turns on one channel. A user without
-- the right to publish wakes nobody, and they ask by themselves.
local function publish(waiter, what)
  redis.pcall('PUBLISH', 'cs1:' .. waiter:sub(1, 8), waiter .. what)
end

-- Give the lease to the first turn that waits, for handover_ms, and wake it; or free it.
-- A ring is only a hint: BEGIN alone decides whose the lease is.
local function release(handover_ms)
  local queue = KEYS[1] .. 'q'
  if redis.call('EXISTS', ANSWER, DEFERRED) > 0 then queue = DEFERRED end
  local waiter = redis.call('LPOP', queue)
  if not waiter then
    redis.call('DEL', KEYS[2])
    return
  end
  -- Not refused by a server out of memory, which lets a script that has begun to write go on.
  redis.call('SET', KEYS[2], waiter, 'PX', handover_ms)
  if waiter:sub(1, 2) == '\0\0' then
    publish(waiter, '')
  else
    redis.call('RPUSH', KEYS[2] .. waiter, '1')
    redis.call('PEXPIRE', KEYS[2] .. waiter, handover_ms)
  end
  -- The turn after it asks by itself soon, lest that one has died; a thread does so in any case.
  local following = redis.call('LINDEX', queue, 0)
  if following and following:sub(1, 2) == '\0\0' then publish(following, '+') end
end
