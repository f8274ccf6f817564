-- Distinct, Forget: hashes by when each was seen last, in a string.
--
-- ENTRY bytes each, in order of time and then of the hash: seven of the time, eight of the hash. That is three
-- quarters of what a sorted set takes. A few more are held than are ever told, so that sightings which
-- are then forgotten do not push the reading below its cap.

local SPARE, ENTRY, TIME, ITEM = 32, 15, '>I7', '>I4I4'

local function packed(item)
  return struct.pack(ITEM, tonumber(string.sub(item, 1, 8), 16), tonumber(string.sub(item, 9), 16))
end

local function time_at(raw, at)
  return (struct.unpack(TIME, raw, at))
end

-- Where the entry of an item begins, if there is one.
local function find(raw, item)
  local at = string.find(raw, item, 1, true)
  while at and (at - 8) % ENTRY ~= 0 do
    at = string.find(raw, item, at + 1, true)
  end
  return at and at - 7
end

local function without(raw, at)
  return string.sub(raw, 1, at - 1) .. string.sub(raw, at + ENTRY)
end

local function with(raw, time, item)
  local high, low = struct.unpack(ITEM, item)
  local at = #raw + 1
  while at > 1 do
    local earlier, h, l = struct.unpack('>I7I4I4', raw, at - ENTRY)
    if earlier < time or (earlier == time and (h < high or (h == high and l < low))) then
      break
    end
    at = at - ENTRY
  end
  return table.concat({ string.sub(raw, 1, at - 1), struct.pack(TIME, time), item, string.sub(raw, at) })
end

local function write(key, raw, window)
  call('SET', key, raw, 'PX', ceil((window + GRACE) / 1000))
end

kinds.D = function(arg, key)
  local window, item, most = match(arg, '^. (%S+) (%S+) (%S+)')
  window, most, item = tonumber(window), tonumber(most), packed(item)
  local raw = call('GET', key) or ''
  local now = raw == '' and clock or max(clock, time_at(raw, #raw - ENTRY + 1))
  local at, previous = find(raw, item), nil
  if at then
    previous = time_at(raw, at)
    previous = previous > now - window and previous or nil
    raw = without(raw, at)
  end
  local first = 1
  while first <= #raw and time_at(raw, first) <= now - window do
    first = first + ENTRY
  end
  raw = with(string.sub(raw, first), now, item)
  local held = #raw / ENTRY
  if held > most + SPARE then
    raw = string.sub(raw, (held - most - SPARE) * ENTRY + 1)
  end
  write(key, raw, window)
  return format('%d %.0f %s', min(held, most), now, previous and format('%.0f', previous) or '-')
end

kinds.F = function(arg, key)
  local window, item, seen, previous = match(arg, '^. (%S+) (%S+) (%S+) (%S+)')
  item = packed(item)
  local raw = call('GET', key)
  local at = raw and find(raw, item)
  if not at or time_at(raw, at) ~= tonumber(seen) then
    return ''
  end
  raw = without(raw, at)
  if previous ~= '-' then
    raw = with(raw, tonumber(previous), item)
  end
  if raw == '' then
    call('DEL', key)
  else
    write(key, raw, tonumber(window))
  end
  return ''
end
