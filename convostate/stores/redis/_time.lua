-- A part of every script that needs the time.

-- Unix time in microseconds: the given one, a test's, or the server's if that is ''.
local function now_us(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
