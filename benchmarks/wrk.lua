-- wrk's script: sends the prepared requests of a file, each of them once.
--
-- The file, named in the environment variable REQUESTS, holds for each request its length in bytes, a line
-- feed, and the bytes. At the end one line of JSON: answers below 400, others, seconds.

local requests, place = {}, 0

function init()
  local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
  local length = file:read("*n")
  while length do
    file:read(1)
    requests[#requests + 1] = file:read(length)
    length = file:read("*n")
  end
  file:close()
end

function request()
  place = place + 1
  if place >= #requests then wrk.thread:stop() end
  return requests[math.min(place, #requests)]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  print(string.format("[%d, %d, %f]", summary.requests - errors.status, failed, summary.duration / 1e6))
end
