-- Carry out the operations in order; one line of answer each. Without any, say what the server does when
-- its memory is full, or nothing where we may not know.

if #ARGV == 1 then
  local info = redis.pcall('INFO', 'memory')
  return type(info) == 'string' and match(info, 'maxmemory_policy:(%S+)') or ''
end

local KEYS_OF = { R = 2, V = 2, W = 3, M = 3 }
local answers, k = {}, 1
for i = 2, #ARGV do
  local arg = ARGV[i]
  local kind = string.sub(arg, 1, 1)
  answers[i - 1] = kinds[kind](arg, KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3])
  k = k + (KEYS_OF[kind] or 1)
end
return table.concat(answers, '\n')
