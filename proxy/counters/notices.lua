-- Post, ReadPosts: a small board of named notices with an end each, read by what has changed since.
--
-- A hash from name to when it ends, when it was posted, and its text; beside it two sorted sets of the
-- names, by when each was posted and by when it ends.

local MOST_READ = 1000
local MOST_SWEPT = 64

kinds.W = function(arg, key, posted, ends)
  local ttl, length, rest = match(arg, '^. (%S+) (%S+) (.*)$')
  length = tonumber(length)
  local name, text = string.sub(rest, 1, length), string.sub(rest, length + 1)
  local now = max(clock, highest(posted) or clock)
  local until_ = now + tonumber(ttl)
  call('HSET', key, name, struct.pack('<dd', until_, now) .. text)
  call('ZADD', posted, now, name)
  call('ZADD', ends, until_, name)
  for _, over in ipairs(call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, MOST_SWEPT)) do
    call('HDEL', key, over)
    call('ZREM', posted, over)
    call('ZREM', ends, over)
  end
  local lifetime = max(0, (highest(ends) or now) - now)
  for _, one in ipairs({ key, posted, ends }) do
    keep(one, lifetime)
  end
  return ''
end

kinds.M = function(arg, key, posted)
  local since = numbers(arg, 1)
  local now = max(clock, highest(posted) or clock)
  local names = call('ZRANGEBYSCORE', posted, format('%.0f', since), '+inf', 'LIMIT', 0, MOST_READ)
  local told, read_until = {}, now
  for _, name in ipairs(names) do
    local raw = call('HGET', key, name)
    local until_, at = struct.unpack('<dd', raw)
    if #names == MOST_READ then
      read_until = at
    end
    if until_ > now then
      told[#told + 1] = name
      told[#told + 1] = string.sub(raw, 17)
      told[#told + 1] = format('%.0f', until_)
    end
  end
  return cjson.encode({ format('%.0f', read_until), unpack(told) })
end
