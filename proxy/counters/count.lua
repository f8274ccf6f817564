-- Count, Uncount: a sliding total of time buckets, in a hash.
--
-- Field `at` is the latest time seen, `total` the sum of all buckets of the window that ended then;
-- every other field is the number of a bucket. At most BUCKETS + 1 buckets are ever held.

local BUCKETS = 60

local function first_bucket(at, window, width)
  return floor((at - window) / width)
end

-- Leave out the buckets that slid from the window between `at` and `now`; returns what is left.
local function slide(key, total, at, now, window, width)
  local last = min(first_bucket(now, window, width) - 1, floor(at / width))
  local gone = {}
  for bucket = first_bucket(at, window, width), last do
    gone[#gone + 1] = format('%.0f', bucket)
  end
  if #gone == 0 then
    return total
  end
  for _, events in ipairs(call('HMGET', key, unpack(gone))) do
    total = total - (tonumber(events) or 0)
  end
  call('HDEL', key, unpack(gone))
  return total
end

kinds.C = function(arg, key)
  local window, weight = numbers(arg, 2)
  local width = ceil(window / BUCKETS)
  local known = call('HMGET', key, 'at', 'total')
  local at, total = tonumber(known[1]), tonumber(known[2]) or 0
  local now = max(clock, at or clock)
  local bucket = floor(now / width)
  call('HINCRBY', key, bucket, weight)
  if at then
    total = slide(key, total, at, now, window, width)
  end
  total = total + weight
  call('HSET', key, 'at', now, 'total', total)
  if not at or bucket > floor(at / width) then
    keep(key, window + width)
  end
  return format('%.0f %.0f', total, now)
end

kinds.U = function(arg, key)
  local window, weight, counted = numbers(arg, 3)
  local width = ceil(window / BUCKETS)
  local at = tonumber(call('HGET', key, 'at'))
  local bucket = floor(counted / width)
  if not at or bucket < first_bucket(at, window, width) then
    return ''
  end
  local less = min(tonumber(call('HGET', key, bucket)) or 0, weight)
  if less > 0 then
    call('HINCRBY', key, bucket, -less)
    call('HINCRBY', key, 'total', -less)
  end
  return ''
end
