-- Each of wrk's threads has one connection and one visitor's cookie: no two requests of a session
-- run at once. The visitor opens the three pages in turn, as a trusted https proxy passes them on.
--
--   wrk -t16 -c16 -d8s -s visit.lua http://127.0.0.1:PORT -- FILE PORT PORT …
--
-- FILE has a cookie a line; the threads take turns at the ports. The last line that it prints is JSON.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  local headers = {
    ["Host"] = "bench.example",
    ["X-Forwarded-For"] = "192.0.2.1",
    ["X-Forwarded-Host"] = "bench.example",
    ["X-Forwarded-Port"] = "443",
    ["X-Forwarded-Proto"] = "https",
  }
  local line = 0
  for cookie in io.lines(args[1]) do
    line = line + 1
    if line == number and cookie ~= "" then
      headers["Cookie"] = cookie
    end
  end
  wrk.thread.addr = wrk.lookup("127.0.0.1", args[2 + number % (#args - 1)])[1]
  pages = {}
  for i, path in ipairs({"/", "/about", "/contact"}) do
    pages[i] = wrk.format("GET", path, headers)
  end
  page = number % 3
end

function request()
  page = page % 3 + 1
  return pages[page]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration": %d, "errors": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
