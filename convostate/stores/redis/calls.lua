-- CALLS: the calls that are listed under a pair.
--
-- KEYS  1 list of the pair's calls
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, name, …}
local reply, index = {ARGV[1]}, 0
local name = redis.call('LINDEX', KEYS[1], 0)
while name do
  index = index + 1
  reply[index + 1] = name
  name = redis.call('LINDEX', KEYS[1], index)
end
return reply
