-- COMMIT: if the lease is still the turn's, carry out its outcome, record its reply, let the next turn in.
--
-- KEYS  1 state  2 lease  3 queue  4 opt-out
--       5 newest reply  6 older reply to this request        (5 and 6 absent: no reply is recorded)
-- ARGV  1 nonce, echoed  2 '1' where this may be a repetition  3 id of the turn
--       4 hand-over, ms  5 first 33 bytes of the state that the turn began with, or ''
--       6 'keep', 'end' or 'leave' the state  7 the state to keep, or ''  8 its lifetime, ms
--       9 '1' a STOP stands, '0' it is lifted, '' neither  10 how long a STOP is remembered, ms
--       11 id of the turn ‖ redirects ‖ idempotency ‖ name of the request, 47 bytes  12 sealed reply
--       13 how long a reply is kept, ms                      (11 to 13 absent without 5 and 6)
-- The newest reply has a name that erase.lua knows; it is renamed when a newer one comes, and each
-- names the one before it, so that all can be found without a list.
--
-- RETURNS  {nonce, 'done'}  carried out, now or by the call that this one repeats
--          {nonce, 'lost'}  the lease is another's, or the state is not what the turn began with:
--                           nothing is written
local nonce, me, to_do = ARGV[1], ARGV[3], ARGV[6]
local head = redis.call('GETRANGE', KEYS[1], 0, 32) -- the nonce in it is unique for every write

if redis.call('GET', KEYS[2]) ~= me then
  local done = false
  if ARGV[2] == '1' then
    if KEYS[5] then
      done = redis.call('GETRANGE', KEYS[5], 0, 15) == me or redis.call('GETRANGE', KEYS[6], 0, 15) == me
    elseif to_do == 'keep' then
      done = head == ARGV[7]:sub(1, 33)
    else
      done = to_do == 'leave' or head == ''
    end
  end
  if done then return {nonce, 'done'} end
  redis.call('DEL', KEYS[2] .. me) -- refused by a replica: that a lease is lost only a master can say
  return {nonce, 'lost'}
end
-- A state that has expired meanwhile is no other one: the turn goes on with what it read.
if head ~= '' and head ~= ARGV[5] then
  release(ARGV[4])
  return {nonce, 'lost'}
end

-- Deleting comes first: a server out of memory refuses a script's first write only, and only where
-- that needs memory. So a conversation can be ended there, and nothing is ever written by halves, but
-- for a user without the rights, which `convostate doctor` finds.
if to_do == 'end' then redis.call('DEL', KEYS[1]) end
if ARGV[9] == '0' then redis.call('DEL', KEYS[4]) end
if to_do == 'keep' then redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[8]) end
if ARGV[9] == '1' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[10]) end
if KEYS[5] then
  local key, before = KEYS[5], string.rep('\0', 22)
  local newest = redis.call('GETRANGE', KEYS[5], 25, 68) -- its name and the name before it
  if newest:sub(1, 22) == ARGV[11]:sub(26, 47) then
    before = newest:sub(23, 44)
  elseif newest ~= '' then
    if redis.call('EXISTS', KEYS[6]) == 1 then
      key, before = KEYS[6], redis.call('GETRANGE', KEYS[6], 47, 68)
      -- It lives on now, and so must all that lead to it: erase.lua comes that way.
      local leads = KEYS[5]
      while leads ~= KEYS[6] and redis.call('PEXPIRE', leads, ARGV[13]) == 1 do
        leads = KEYS[5] .. redis.call('GETRANGE', leads, 47, 68)
      end
    else
      before = newest:sub(1, 22)
      redis.call('RENAME', KEYS[5], KEYS[5] .. before)
    end
  end
  redis.call('SET', key, ARGV[11] .. before .. ARGV[12], 'PX', ARGV[13])
end
release(ARGV[4])
return {nonce, 'done'}
