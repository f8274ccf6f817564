-- Shared by every kind of counter. Times are whole microseconds, exact in a double until the year 2255.
--
-- ARGV[1] is the time to judge by, or empty for the server's own. KEYS and ARGV[2 …] then hold the
-- operations of one subject in order; a first letter says which kind each one is.

local call, format, match = redis.call, string.format, string.match
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

-- The first write of every kind is one that a server out of memory refuses: once a script has written,
-- Redis lets all its further writes pass.

-- A key outlives what it says by so much: expiry only collects garbage, it decides nothing.
local GRACE = 60000000

local kinds = {}

local clock = tonumber(ARGV[1])
if not clock then
  local time = call('TIME')
  clock = time[1] * 1000000 + time[2]
end

local PATTERNS = {
  '^. (%S+)',
  '^. (%S+) (%S+)',
  '^. (%S+) (%S+) (%S+)',
  '^. (%S+) (%S+) (%S+) (%S+)',
  '^. (%S+) (%S+) (%S+) (%S+) (%S+)',
  '^. (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)',
}

local function numbers(arg, count)
  local a, b, c, d, e, f = match(arg, PATTERNS[count])
  return tonumber(a), b and tonumber(b), c and tonumber(c), d and tonumber(d), e and tonumber(e),
    f and tonumber(f)
end

local function keep(key, lifetime)
  call('PEXPIRE', key, ceil((lifetime + GRACE) / 1000))
end

-- The highest score of a sorted set, or nil.
local function highest(key)
  return tonumber(call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2])
end
