-- COMMIT: if the lease is still the turn's, carry out its outcome, record its reply, let the next turn in.
--
-- KEYS  1 state  2 lease  3 queue  4 opt-out
--       5 newest reply  6 older reply to this request        (5 and 6 absent: no reply is recorded)
-- ARGV  1 nonce, echoed  2 how it was sent: '1' if this may be a repetition  3 id of the turn
--       4 hand-over, ms  5 first 33 bytes of the state that the turn began with, or ''
--       6 'keep', 'end' or 'leave' the state  7 the state to keep, or ''  8 its lifetime, ms
--       9 '1' a STOP holds, '0' it is lifted, '' neither  10 how long a STOP is remembered, ms
--       11 how long it is kept that the turn is over, for a repetition or a BEGIN that arrives late, ms;
--          '' for not at all: the reply shows it
--       12 id of the turn ‖ redirects ‖ idempotency ‖ name of the request, 47 bytes  13 sealed reply
--       14 how long a reply is kept, ms                      (12 to 14 absent without 5 and 6)
--       15 a text that is to be answered later  16 the time as _time.lua takes it  17 the most that may wait
--       18 how long it is kept, ms                           (15 to 18 absent if there is none)
-- The newest reply has a name that erase.lua knows; it is renamed when a newer one comes, and each
-- names the one before it, so that all can be found without a list.
--
-- RETURNS  {nonce, 'done'}  carried out, now or by the call that this one repeats
--          {nonce, 'lost'}  the lease is another's, or the state is not what the turn began with:
--                           nothing is written
--          {nonce, 'unknown'}  as 'lost', but so many turns have ended since that the call which this one
--                           repeats may have been carried out
--          {nonce, 'full'}  as 'lost': so many texts wait for an answer already
local nonce, me, to_do = ARGV[1], ARGV[3], ARGV[6]
local head = redis.call('GETRANGE', KEYS[1], 0, 32) -- the nonce in it is unique for every write

if redis.call('GET', KEYS[2]) ~= me then
  local over = ARGV[2] == '1' and redis.call('GET', OVER) or ''
  local replied = ARGV[2] == '1' and KEYS[5]
    and (redis.call('GETRANGE', KEYS[5], 0, 15) == me or redis.call('GETRANGE', KEYS[6], 0, 15) == me)
  if replied or over:find(me, 1, true) then return {nonce, 'done'} end
  redis.call('DEL', KEYS[2] .. me) -- refused by a replica: only a master can say that a lease is lost
  return {nonce, #over < 1024 and 'lost' or 'unknown'}
end
-- A state that has expired meanwhile is not another one: the turn goes on with what it read.
if head ~= '' and head ~= ARGV[5] then
  release(ARGV[4])
  return {nonce, 'lost'}
end

-- A STOP leaves nothing to be answered or sent.
local stops = to_do == 'end' and ARGV[9] == '1'
local text = not stops and ARGV[15]
if text and redis.call('LLEN', KEYS[1] .. 'm') >= tonumber(ARGV[17]) then
  release(ARGV[4])
  return {nonce, 'full'}
end

-- Deleting comes first: a server out of memory refuses a script's first write only, and only if
-- that needs memory. So a conversation can be ended there, and nothing is ever written by halves, except
-- for a user without the rights, which `convostate doctor` finds.
if stops then drop_work() end
if to_do == 'end' then redis.call('DEL', KEYS[1]) end
if ARGV[9] == '0' then redis.call('DEL', KEYS[4]) end
if to_do == 'keep' then redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[8]) end
if ARGV[9] == '1' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[10]) end
if KEYS[5] then
  local key, before = KEYS[5], string.rep('\0', 22)
  local newest = redis.call('GETRANGE', KEYS[5], 25, 68) -- its name and the name before it
  if newest:sub(1, 22) == ARGV[12]:sub(26, 47) then
    before = newest:sub(23, 44)
  elseif newest ~= '' then
    if redis.call('EXISTS', KEYS[6]) == 1 then
      key, before = KEYS[6], redis.call('GETRANGE', KEYS[6], 47, 68)
      -- It lives on now, and so must all that lead to it: erase.lua comes that way.
      local leads = KEYS[5]
      while leads ~= KEYS[6] and redis.call('PEXPIRE', leads, ARGV[14]) == 1 do
        leads = KEYS[5] .. redis.call('GETRANGE', leads, 47, 68)
      end
    else
      before = newest:sub(1, 22)
      redis.call('RENAME', KEYS[5], KEYS[5] .. before)
    end
  end
  redis.call('SET', key, ARGV[12] .. before .. ARGV[13], 'PX', ARGV[14])
end
if text then
  redis.call('RPUSH', KEYS[1] .. 'm', string.format('%.0f', now_us(ARGV[16])) .. text)
  redis.call('PEXPIRE', KEYS[1] .. 'm', ARGV[18])
end
release(ARGV[4])
mark_over(me, ARGV[11])
return {nonce, 'done'}
