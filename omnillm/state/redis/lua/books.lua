-- Tell of every account 'FIELD', 'SPENT RESERVED RESETS' (four numbers of money); first the time, the epoch, and all that was spent.

local books = KEYS[1] .. 'books'
local now = server_time(unpack_('<d', ARGV[1]))
local answers = {string.format('%.6f', now), call('HGET', books, 'epoch') or '', '0 0'}
local all = call('HGETALL', books)
for i = 1, #all, 2 do
  local field, raw = all[i], all[i + 1]
  if field == 'spent' then
    answers[3] = string.format('%.0f %.0f', unpack_('<dd', raw))
  elseif field ~= 'epoch' then
    answers[#answers + 1] = field
    answers[#answers + 1] = string.format('%.0f %.0f %.0f %.0f %.6f', unpack_('<ddddd', raw))
  end
end
return answers
