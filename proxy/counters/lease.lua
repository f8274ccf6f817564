-- Lease, Release: a sorted set of ids by when each lease ends.
--
-- The empty id is none; its score is the latest time seen.

kinds.L = function(arg, key)
  local slots, ttl, id = match(arg, '^. (%S+) (%S+) (.+)$')
  slots, ttl = tonumber(slots), tonumber(ttl)
  local now = max(clock, tonumber(call('ZSCORE', key, '')) or clock)
  local held = call('ZCOUNT', key, '(' .. format('%.0f', now), '+inf')
  local ends = tonumber(call('ZSCORE', key, id))
  if not ends or ends <= now then
    if held >= slots then
      return format('0 %d', held)
    end
    held = held + 1
  end
  call('ZADD', key, now, '', now + ttl, id)
  call('ZREMRANGEBYSCORE', key, '-inf', '(' .. format('%.0f', now))
  keep(key, highest(key) - now)
  return format('1 %d', held)
end

kinds.X = function(arg, key)
  call('ZREM', key, match(arg, '^. (.+)$'))
  return ''
end
