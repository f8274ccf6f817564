-- Novel, Unnovel: which prompts (or other items) the window has seen before, in two bitmaps.
--
-- A bitmap belongs to one pane, a time as long as the window; an item is known if its bit stands in this
-- pane's or the last one's. The more bits stand, the likelier a new item looks known: each new one is
-- counted as 1 / (the chance that it would look new), so that the total stays right on average (the
-- historic inverse probability estimator; Cohen 2014, Ting 2014). In thousandths.

local BITS = 8192
-- At its full size from the first: Redis grows a string by doubling it.
local EMPTY = string.rep('\0', BITS / 8)
local LEAST_CHANCE = 0.02

local function panes(pane, even, odd)
  if pane % 2 == 0 then
    return even, odd
  end
  return odd, even
end

kinds.N = function(arg, key, even, odd, requests)
  local window, marks = match(arg, '^. (%S+) (.+)$')
  window = tonumber(window)
  local known = call('HMGET', key, 'at', 'pane', 'here', 'before')
  local now = max(clock, tonumber(known[1]) or clock)
  local pane, last = floor(now / window), tonumber(known[2])
  local here, before = tonumber(known[3]) or 0, tonumber(known[4]) or 0
  local current, other = panes(pane, even, odd)
  if pane ~= last then
    call('SET', current, EMPTY)
    if last and pane - last == 1 then
      before = here
    else
      before = 0
      call('DEL', other)
    end
    here = 0
  end
  local each, chance, new, fresh = (1 - here / BITS) * (1 - before / BITS), 1, true, {}
  for mark in string.gmatch(marks, '%d+') do
    chance = chance * each
    if call('SETBIT', current, mark, 1) == 0 then
      here = here + 1
      fresh[#fresh + 1] = mark
      new = new and (before == 0 or call('GETBIT', other, mark) == 0)
    else
      new = false
    end
  end
  local weight = new and floor(1000 / max(chance, LEAST_CHANCE)) or 0
  local total = kinds.C(format('C %.0f %.0f', window, weight), key)
  local asked = match(kinds.C(format('C %.0f 1', window), requests), '^(%S+)')
  call('HSET', key, 'pane', pane, 'here', here, 'before', before)
  keep(key, 2 * window)
  if pane ~= last then
    keep(current, 2 * window)
  end
  return format('%s %s %.0f %s', total, asked, weight, #fresh > 0 and table.concat(fresh, ',') or '-')
end

kinds.O = function(arg, key, even, odd, requests)
  local window, weight, counted, marks = match(arg, '^. (%S+) (%S+) (%S+) (.+)$')
  window = tonumber(window)
  local last = tonumber(call('HGET', key, 'pane'))
  if not last then
    return ''
  end
  local pane = floor(tonumber(counted) / window)
  if pane == last or pane == last - 1 then
    local bitmap = panes(pane, even, odd)
    local gone = 0
    for mark in string.gmatch(marks, '%d+') do
      gone = gone + call('SETBIT', bitmap, mark, 0)
    end
    call('HINCRBY', key, pane == last and 'here' or 'before', format('%d', -gone))
    keep(bitmap, 2 * window)
  end
  kinds.U(format('U %.0f 1 %s', window, counted), requests)
  return kinds.U(format('U %.0f %s %s', window, weight, counted), key)
end
