-- Stands before every script that lets a turn go.
-- KEYS  2 lease  3 queue

-- Give the lease to the first turn that waits, for handover_ms, and ring its wake list; or free it.
-- A ring is only a hint: BEGIN alone tells whose the lease is.
local function release(handover_ms)
  local waiter = redis.call('LPOP', KEYS[3])
  if not waiter then
    redis.call('DEL', KEYS[2])
    return
  end
  -- Not refused by a server out of memory, which lets a script that has begun to write go on.
  redis.call('SET', KEYS[2], waiter, 'PX', handover_ms)
  redis.call('RPUSH', KEYS[2] .. waiter, '1')
  redis.call('PEXPIRE', KEYS[2] .. waiter, handover_ms)
end
