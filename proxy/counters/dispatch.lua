-- Carry out the operations in order; one line of answer each. Without any, say what the server does when
-- its memory is full, or nothing where we may not know.

if #ARGV == 1 then
  local info = redis.pcall('INFO', 'memory')
  return type(info) == 'string' and match(info, 'maxmemory_policy:(%S+)') or ''
end

local TWO_KEYS = { R = true, V = true }
local answers, k = {}, 1
for i = 2, #ARGV do
  local arg = ARGV[i]
  local kind = string.sub(arg, 1, 1)
  answers[i - 1] = kinds[kind](arg, KEYS[k], KEYS[k + 1])
  k = k + (TWO_KEYS[kind] and 2 or 1)
end
return table.concat(answers, '\n')
