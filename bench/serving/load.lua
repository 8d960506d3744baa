-- Sends the bodies of a file in turn over connections that stay open, and prints one line of JSON at the end.
-- Arguments: file of bodies (one a line), file of headers (name: value), path, and optionally a mean pause in milliseconds.
local requests, at = {}, 0

function init(arguments)
  local headers = {}
  for line in io.lines(arguments[2]) do
    local name, value = line:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for body in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", arguments[3], headers, body)
  end
  local pause = tonumber(arguments[4] or "0")
  if pause > 0 then
    -- Uniform around the mean: connections that wait equally long would march in step.
    delay = function() return math.random(0, 2 * pause) end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"us": %d, "requests": %d, "sockets": %d, "statuses": %d, "timeouts": %d, "p50": %d, "p99": %d}\n',
    summary.duration, summary.requests, errors.connect + errors.read + errors.write, errors.status, errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
