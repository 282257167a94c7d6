-- PUBLISH: send a message to the listeners, to learn whether the user may.
--
-- ARGV  1 nonce, echoed  2 how it was sent (not read)  3 channel  4 message
--
-- RETURNS  {nonce, clients that heard it}, or {nonce} if the user may not publish
local heard = redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return {ARGV[1], type(heard) == 'number' and heard or nil}
