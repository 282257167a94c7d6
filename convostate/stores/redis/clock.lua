-- CLOCK: the server's time, which decides between hosts whose clocks differ.
--
-- ARGV  1 nonce, echoed  2 how it was sent (not read)
--
-- RETURNS  {nonce, seconds, microseconds}, or {nonce} if the user may not ask for it
local time = redis.pcall('TIME')
if time.err then return {ARGV[1]} end
return {ARGV[1], time[1], time[2]}
