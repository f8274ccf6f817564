-- Take, Refund, Reserve, Settle: the generic cell rate algorithm (ITU-T I.371).
--
-- The theoretical arrival time is base + units * period / amount, kept as whole numbers, so that no
-- rounding adds up however long a limit is in use. Stored as five doubles: the latest time seen, base,
-- units, amount, period. Comparisons are multiplied out by amount; they are exact below 2^53.

local NEVER = '0 0 -'

local function load_tat(key, amount, period)
  local raw = call('GET', key)
  if not raw then
    return clock, clock, 0, false
  end
  local latest, base, units, old_amount, old_period = struct.unpack('<ddddd', raw)
  local now = max(clock, latest)
  if old_amount ~= amount or old_period ~= period then
    base, units = base + ceil(units * old_period / old_amount), 0
  end
  if (base - now) * amount + units * period <= 0 then
    base, units = now, 0
  end
  return now, base, units, true
end

local function save_tat(key, now, base, units, amount, period)
  if (base - now) * amount + units * period <= 0 then
    base, units = now, 0
  end
  local whole = floor(units / amount)
  base, units = base + whole * period, units - whole * amount
  local lifetime = base - now + period
  call('SET', key, struct.pack('<ddddd', now, base, units, amount, period),
    'PX', ceil((lifetime + GRACE) / 1000))
end

local function take(key, now, base, units, amount, period, burst, weight, max_wait)
  local behind = (base - now) * amount + units * period
  local remaining = max(0, floor((burst * period - behind) / period))
  if weight > burst then
    return false, format('%s %.0f', NEVER, remaining)
  end
  local wait = max(0, ceil((behind + (weight - burst) * period) / amount))
  if wait > max_wait then
    return false, format('0 0 %.0f %.0f', wait - max_wait, remaining)
  end
  save_tat(key, now, base, units + weight, amount, period)
  return true, format('1 %.0f 0 %.0f', wait, max(0, remaining - weight))
end

kinds.T = function(arg, key)
  local amount, period, burst, weight, max_wait = numbers(arg, 5)
  local now, base, units = load_tat(key, amount, period)
  local _, answer = take(key, now, base, units, amount, period, burst, weight, max_wait)
  return answer
end

kinds.B = function(arg, key)
  local amount, period, weight = numbers(arg, 3)
  local now, base, units, known = load_tat(key, amount, period)
  if known then
    save_tat(key, now, base, units - weight, amount, period)
  end
  return ''
end

kinds.R = function(arg, key, reservation)
  local amount, period, burst, estimate, ttl, max_wait = numbers(arg, 6)
  local now, base, units = load_tat(key, amount, period)
  local held = call('GET', reservation)
  if held and struct.unpack('<dd', held) > now then
    local behind = (base - now) * amount + units * period
    return format('1 0 0 %.0f', max(0, floor((burst * period - behind) / period)))
  end
  local admitted, answer = take(key, now, base, units, amount, period, burst, estimate, max_wait)
  if admitted then
    call('SET', reservation, struct.pack('<dd', now + ttl, estimate), 'PX', ceil((ttl + GRACE) / 1000))
  end
  return answer
end

kinds.V = function(arg, key, reservation)
  local amount, period, actual = numbers(arg, 3)
  local held = call('GET', reservation)
  if not held then
    return ''
  end
  local now, base, units = load_tat(key, amount, period)
  local expires, estimate = struct.unpack('<dd', held)
  call('DEL', reservation)
  if expires > now then
    save_tat(key, now, base, units + actual - estimate, amount, period)
  end
  return ''
end
