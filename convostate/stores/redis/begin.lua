-- BEGIN: find the recorded reply, or take the lease, or take a place in the queue.
-- Asking again with the same turn's id is harmless: that is how a waiting turn goes on.
--
-- KEYS  1 state  2 lease  3 queue of waiting turns' ids, another one for texts that are answered later  4 opt-out
--       5 newest reply  6 older reply to this request        (5 and 6 absent: no reply is looked for)
-- ARGV  1 nonce, echoed  2 how it was sent: '2' on a connection that may deliver it late
--       3 id of the turn  4 lease, ms  5 hand-over, ms  6 life of a place in the queue, ms
--       7 most that may wait  8 '1' if the turn had a place in the queue
--       9 idempotency, 8 bytes  10 name of the request, 22 bytes
-- The id of a turn: who gives it [8] ‖ which of theirs, in digits [8]
-- A recorded reply: id of its turn [16] ‖ redirects [1] ‖ idempotency [8] ‖ name [22]
--       ‖ name of the reply before it, or 22 zero bytes [22] ‖ sealed reply
--
-- RETURNS  {nonce, 'replay', sealed reply}
--          {nonce, 'yours', state or nil, '1' if a STOP holds or nil, ms until the state expires}
--          {nonce, 'wait', ms until the lease ends}   ask again then, or when the turn is woken
--          {nonce, 'full'}
--          {nonce, 'over'}   it arrived after the end of its turn
local nonce, me = ARGV[1], ARGV[3]
if ARGV[2] == '2' and (redis.call('GET', OVER) or ''):find(me, 1, true) then return {nonce, 'over'} end
local found = redis.call('MGET', KEYS[2], KEYS[4], KEYS[5] or KEYS[4], KEYS[6] or KEYS[4], ANSWER)
local holder, opted_out = found[1], found[2]
local answering = found[5] and KEYS[3] ~= DEFERRED

if KEYS[5] then
  local reply = found[3]
  if not reply or reply:sub(26, 47) ~= ARGV[10] then reply = found[4] end
  -- The same request after a redirect to the same URL is a new one.
  if reply and (reply:byte(17) ~= 1 or reply:sub(18, 25) == ARGV[9]) then
    if holder == me then release(ARGV[5]) else redis.call('LREM', KEYS[3], 0, me) end
    return {nonce, 'replay', reply:sub(70)}
  end
end

local mine = holder == me
if not holder and not answering then
  local first = redis.call('LINDEX', KEYS[3], 0)
  if first and first ~= me then
    release(ARGV[5]) -- the holder has died: the turn that has waited longest is next
  else
    if first then redis.call('LPOP', KEYS[3]) end
    mine = true
  end
end
if mine then
  local state = redis.call('GET', KEYS[1]) -- not in MGET, which hides a key of another type
  redis.call('SET', KEYS[2], me, 'PX', ARGV[4])
  return {nonce, 'yours', state, opted_out, redis.call('PTTL', KEYS[1])}
end

if not redis.call('LPOS', KEYS[3], me) then
  if ARGV[8] == '1' then
    -- It did not take the lease in time when that was handed over. It goes back to the front, but behind
    -- the earlier turns of its process, which stood still with it and came back before it.
    local queue, place = {}, 1
    for index = 1, redis.call('LLEN', KEYS[3]) do queue[index] = redis.call('LPOP', KEYS[3]) end
    while queue[place] and queue[place]:sub(1, 8) == me:sub(1, 8) and queue[place]:sub(9) < me:sub(9) do
      place = place + 1
    end
    table.insert(queue, place, me)
    redis.call('RPUSH', KEYS[3], unpack(queue))
  elseif redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[7]) then
    return {nonce, 'full'}
  else
    redis.call('RPUSH', KEYS[3], me)
  end
end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return {nonce, 'wait', redis.call('PTTL', answering and not holder and ANSWER or KEYS[2])}
