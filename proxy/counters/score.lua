-- Raise, ReadScore: a hash from rule to its level and the time it was set, as two doubles.
--
-- The answer is now and then rule, level, time for each; the caller decays the levels.

-- Entries that have faded below what is ever told are collected.
local FADED = 0.005

local function entries(key)
  local found, latest = {}, clock
  local flat = call('HGETALL', key)
  for i = 1, #flat, 2 do
    local level, at = struct.unpack('<dd', flat[i + 1])
    found[#found + 1] = { rule = flat[i], level = level, at = at }
    latest = max(latest, at)
  end
  return found, latest
end

local function told(found, now)
  local flat = { format('%.0f', now) }
  for _, entry in ipairs(found) do
    flat[#flat + 1] = entry.rule
    flat[#flat + 1] = format('%.17g', entry.level)
    flat[#flat + 1] = format('%.0f', entry.at)
  end
  return cjson.encode(flat)
end

kinds.P = function(arg, key)
  local level, half_life, rule = match(arg, '^. (%S+) (%S+) (.*)$')
  level, half_life = tonumber(level), tonumber(half_life)
  local found, now = entries(key)
  local raised = { rule = rule, level = level, at = now }
  local kept, fades = { raised }, now
  for _, entry in ipairs(found) do
    if entry.rule ~= rule then
      kept[#kept + 1] = entry
    end
  end
  call('HSET', key, rule, struct.pack('<dd', level, now))
  for _, entry in ipairs(kept) do
    local faded = entry.at + half_life * math.log(entry.level / FADED) / math.log(2)
    if faded <= now and entry ~= raised then
      call('HDEL', key, entry.rule)
    end
    fades = max(fades, faded)
  end
  keep(key, fades - now)
  return told(kept, now)
end

kinds.Q = function(_, key)
  return told(entries(key))
end
