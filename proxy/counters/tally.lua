-- Tally, Untally: how many requests of the window showed which of a few things, over two panes of time.
-- Pace: how regular arrivals are, and how many came in each of the last 24 hours.
--
-- A tally is a string: the latest time seen, the pane, the requests of this pane and of the one before, then
-- 24 bytes an item: its 16 hexadecimal digits and two counts. Comparisons and shares are of whole numbers.

local MAX, PARTS, ENTRY, HEAD = 16, 1024, 24, 32

local function load_tally(key, window)
  local raw = call('GET', key)
  if not raw then
    return clock, floor(clock / window), 0, 0, {}
  end
  local latest, pane, here, before = struct.unpack('<dddd', raw)
  local now = max(clock, latest)
  local current = floor(now / window)
  local items = {}
  for at = HEAD + 1, #raw, ENTRY do
    local name, shown, earlier = struct.unpack('<c16I4I4', raw, at)
    if current ~= pane then
      shown, earlier = 0, current - pane == 1 and shown or 0
    end
    if shown + earlier > 0 then
      items[#items + 1] = { name, shown, earlier }
    end
  end
  if current ~= pane then
    here, before = 0, current - pane == 1 and here or 0
  end
  return now, current, here, before, items
end

local function save_tally(key, now, window, pane, here, before, items)
  local parts = { struct.pack('<dddd', now, pane, here, before) }
  for _, one in ipairs(items) do
    parts[#parts + 1] = struct.pack('<c16I4I4', one[1], one[2], one[3])
  end
  call('SET', key, table.concat(parts), 'PX', ceil((2 * window + GRACE) / 1000))
end

local function find(items, name)
  for _, one in ipairs(items) do
    if one[1] == name then
      return one
    end
  end
end

-- Makes room for a newcomer: the one shown least goes, of several the first.
local function newcomer(items, name)
  local one = { name, 0, 0 }
  if #items < MAX then
    items[#items + 1] = one
    return one
  end
  local least = 1
  for at = 2, #items do
    if items[at][2] + items[at][3] < items[least][2] + items[least][3] then
      least = at
    end
  end
  table.remove(items, least)
  items[#items + 1] = one
  return one
end

kinds.Y = function(arg, key)
  local window, requests, names, asked = match(arg, '^. (%S+) (%S+) (%S+) (%S+)')
  window = tonumber(window)
  local now, pane, here, before, items = load_tally(key, window)
  here = here + tonumber(requests)
  for name in string.gmatch(names, '%x+') do
    local one = find(items, name) or newcomer(items, name)
    one[2] = one[2] + 1
  end
  save_tally(key, now, window, pane, here, before, items)
  local part = floor((window - (now - pane * window)) * PARTS / window)
  local top = 0
  for _, one in ipairs(items) do
    top = max(top, one[2] + floor(one[3] * part / PARTS))
  end
  local told = {}
  for name in string.gmatch(names .. ',' .. asked, '%x+') do
    local one = find(items, name)
    told[#told + 1] = one and format('%.0f', one[2] + floor(one[3] * part / PARTS)) or '0'
  end
  local shown = #told > 0 and table.concat(told, ',') or '-'
  return format('%.0f %.0f %.0f %s', here + floor(before * part / PARTS), top, now, shown)
end

kinds.Z = function(arg, key)
  local window, requests, counted, names = match(arg, '^. (%S+) (%S+) (%S+) (%S+)')
  window, requests, counted = tonumber(window), tonumber(requests), tonumber(counted)
  if not call('GET', key) then
    return ''
  end
  local now, pane, here, before, items = load_tally(key, window)
  local age = pane - floor(counted / window)
  if age ~= 0 and age ~= 1 then
    return ''
  end
  if age == 0 then
    here = max(0, here - requests)
  else
    before = max(0, before - requests)
  end
  for name in string.gmatch(names, '%x+') do
    local one = find(items, name)
    if one then
      one[2 + age] = max(0, one[2 + age] - 1)
    end
  end
  save_tally(key, now, window, pane, here, before, items)
  return ''
end

local MEMORY, PAUSE, HOUR, HOURS = 32, 600000000, 3600000000, 24

kinds.E = function(_, key)
  local raw = call('GET', key)
  local now, hour = clock, floor(clock / HOUR)
  local gaps, mean, spread, shown = 0, 0, 0, {}
  for at = 1, HOURS do
    shown[at] = 0
  end
  if raw then
    local latest, last
    latest, gaps, mean, spread, last = struct.unpack('<ddddd', raw)
    now = max(clock, latest)
    hour = floor(now / HOUR)
    for at = 1, HOURS do
      local before = at + hour - last
      if before <= HOURS then
        shown[at] = struct.unpack('<I4', raw, 41 + 4 * (before - 1))
      end
    end
    local gap = floor((now - latest) / 1000)
    if now - latest <= PAUSE then
      gaps = gaps + 1
      if gaps == 1 then
        mean = gap
      else
        local off = gap - mean
        spread = (1 - 1 / MEMORY) * (spread + off * off / MEMORY)
        mean = mean + off / MEMORY
      end
    end
  end
  shown[HOURS] = shown[HOURS] + 1
  local parts = { struct.pack('<ddddd', now, gaps, mean, spread, hour) }
  for at = 1, HOURS do
    parts[#parts + 1] = struct.pack('<I4', shown[at])
  end
  call('SET', key, table.concat(parts), 'PX', ceil((HOURS * HOUR + GRACE) / 1000))
  return format('%.0f %.17g %.17g %.0f %s', gaps, mean, spread, now, table.concat(shown, ','))
end
