-- Seen: a sorted set of who showed one item, by each one's last sighting.

local SEEN_MAX = 16

kinds.S = function(arg, key)
  local ttl, who = match(arg, '^. (%S+) (.*)$')
  ttl = tonumber(ttl)
  local now = max(clock, highest(key) or clock)
  local before = call('ZRANGEBYSCORE', key, '(' .. format('%.0f', now - ttl), '+inf')
  call('ZADD', key, now, who)
  call('ZREMRANGEBYSCORE', key, '-inf', now - ttl)
  local held = call('ZCARD', key)
  if held > SEEN_MAX then
    call('ZREMRANGEBYRANK', key, 0, held - SEEN_MAX - 1)
  end
  keep(key, ttl)
  return #before == 0 and '[]' or cjson.encode(before)
end
