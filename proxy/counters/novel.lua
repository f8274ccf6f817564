-- Novel, Unnovel: which prompts (or other items) the window has seen before, and how many it holds.
--
-- All of it belongs to one pane, a time as long as the window; an item is known if its mark stands in this
-- pane's or the last one's. The more marks stand, the likelier a new item looks known: each new one is
-- counted as 1 / (the chance that it would look new), so that the total stays right on average (the
-- historic inverse probability estimator; Cohen 2014, Ting 2014). In thousandths. Of what the last pane
-- counted so much is told as the window still covers, as in a tally.
--
-- A string: HEAD, then the marks of this pane, then those of the last one. While they are few these are two
-- bytes each; beyond SPARSE they are two bitmaps, which change in place.

local BITS, SPARSE, PARTS, LEAST_CHANCE = 8000, 480, 1024, 0.02
local MARK = '<I2'
-- The latest time; of this pane and the last one weights, requests and marks; whether there are bitmaps.
local HEAD = '<dddI4I4I2I2B'
local SIZE = struct.size(HEAD)
local BYTES = BITS / 8
local EMPTY = string.rep('\0', BYTES)

local function stands(marks, mark)
  local at = string.find(marks, mark, 1, true)
  while at and at % 2 == 0 do
    at = string.find(marks, mark, at + 1, true)
  end
  return at
end

local function bitmap(marks)
  local bytes = {}
  for at = 1, #marks, 2 do
    local mark = struct.unpack(MARK, marks, at)
    local byte = floor(mark / 8) + 1
    bytes[byte] = (bytes[byte] or 0) + 2 ^ (7 - mark % 8)
  end
  for at = 1, BYTES do
    bytes[at] = string.char(bytes[at] or 0)
  end
  return table.concat(bytes)
end

local function listed(bits)
  local marks = {}
  for at = 1, BYTES do
    local byte = string.byte(bits, at)
    for bit = 0, byte > 0 and 7 or -1 do
      local value = 2 ^ (7 - bit)
      if byte >= value then
        byte = byte - value
        marks[#marks + 1] = struct.pack(MARK, (at - 1) * 8 + bit)
      end
    end
  end
  return table.concat(marks)
end

local function load(key)
  local raw = call('GETRANGE', key, 0, SIZE + 2 * SPARSE - 1)
  if raw == '' then
    return nil
  end
  local one = {}
  one.at, one.weight, one.weight_before, one.asked, one.asked_before, one.here, one.before, one.bits =
    struct.unpack(HEAD, raw)
  one.bits = one.bits == 1
  if not one.bits then
    local middle = SIZE + 2 * one.here
    one.marks, one.earlier = string.sub(raw, SIZE + 1, middle), string.sub(raw, middle + 1)
  end
  return one
end

local function head(one)
  return struct.pack(HEAD, one.at, one.weight, one.weight_before, one.asked, one.asked_before, one.here,
    one.before, one.bits and 1 or 0)
end

-- Of the last pane's marks nothing is needed but where they stand: few of many are a list again.
local function turn(one, key, follows)
  if not follows then
    one.weight, one.asked, one.here, one.bits, one.marks = 0, 0, 0, false, ''
  elseif one.bits then
    one.marks = call('GETRANGE', key, SIZE, SIZE + BYTES - 1)
    if one.here <= SPARSE then
      one.bits, one.marks = false, listed(one.marks)
    end
  end
  one.weight, one.weight_before = 0, one.weight
  one.asked, one.asked_before = 0, one.asked
  one.here, one.before = 0, one.here
  one.earlier, one.marks = one.marks, ''
end

local function write(one, key, window)
  call('SET', key, table.concat({ head(one), one.marks, one.earlier }), 'PX',
    ceil((2 * window + GRACE) / 1000))
end

-- Notes a mark: whether it is fresh in this pane, and whether it is in the last one as well.
local function note(one, key, mark)
  if one.bits then
    if call('SETBIT', key, SIZE * 8 + mark, 1) == 1 then
      return false
    end
    one.here = one.here + 1
    return true, one.before == 0 or call('GETBIT', key, (SIZE + BYTES) * 8 + mark) == 0
  end
  local packed = struct.pack(MARK, mark)
  if stands(one.marks, packed) then
    return false
  end
  one.marks, one.here = one.marks .. packed, one.here + 1
  return true, not stands(one.earlier, packed)
end

kinds.N = function(arg, key)
  local window, marks = match(arg, '^. (%S+) (.+)$')
  window = tonumber(window)
  local one = load(key) or { at = clock, weight = 0, weight_before = 0, asked = 0, asked_before = 0,
    here = 0, before = 0, bits = false, marks = '', earlier = '' }
  local now = max(clock, one.at)
  local pane = floor(now / window)
  local passed = pane - floor(one.at / window)
  one.at = now
  if passed > 0 then
    turn(one, key, passed == 1)
    if one.bits then
      one.marks = EMPTY
      write(one, key, window)
    end
  end
  local each, chance, new, fresh = (1 - one.here / BITS) * (1 - one.before / BITS), 1, true, {}
  for mark in string.gmatch(marks, '%d+') do
    chance = chance * each
    local first, unknown = note(one, key, tonumber(mark))
    if first then
      fresh[#fresh + 1] = mark
    end
    new = new and first and unknown
  end
  local weight = new and floor(1000 / max(chance, LEAST_CHANCE)) or 0
  one.weight, one.asked = one.weight + weight, one.asked + 1
  if one.bits then
    call('SETRANGE', key, 0, head(one))
  else
    if one.here + one.before > SPARSE then
      one.bits, one.marks, one.earlier = true, bitmap(one.marks), bitmap(one.earlier)
    end
    write(one, key, window)
  end
  local part = floor((window - (now - pane * window)) * PARTS / window)
  return format('%.0f %.0f %.0f %.0f %s', one.weight + floor(one.weight_before * part / PARTS), now,
    one.asked + floor(one.asked_before * part / PARTS), weight,
    #fresh > 0 and table.concat(fresh, ',') or '-')
end

-- Takes marks away where they stand; returns how many, and the list that is left.
local function remove(one, key, age, names)
  local gone, marks = 0, age == 0 and one.marks or one.earlier
  for name in string.gmatch(names, '%d+') do
    if one.bits then
      gone = gone + call('SETBIT', key, (SIZE + age * BYTES) * 8 + name, 0)
    else
      local at = stands(marks, struct.pack(MARK, tonumber(name)))
      if at then
        marks, gone = string.sub(marks, 1, at - 1) .. string.sub(marks, at + 2), gone + 1
      end
    end
  end
  return gone, marks
end

kinds.O = function(arg, key)
  local window, weight, counted, names = match(arg, '^. (%S+) (%S+) (%S+) (.+)$')
  window, weight = tonumber(window), tonumber(weight)
  local one = load(key)
  local age = one and floor(one.at / window) - floor(tonumber(counted) / window)
  if age ~= 0 and age ~= 1 then
    return ''
  end
  local gone, marks = remove(one, key, age, names)
  if age == 0 then
    one.here, one.marks = one.here - gone, marks
    one.weight, one.asked = max(0, one.weight - weight), max(0, one.asked - 1)
  else
    one.before, one.earlier = one.before - gone, marks
    one.weight_before, one.asked_before = max(0, one.weight_before - weight), max(0, one.asked_before - 1)
  end
  if one.bits then
    call('SETRANGE', key, 0, head(one))
  else
    write(one, key, window)
  end
  return ''
end
