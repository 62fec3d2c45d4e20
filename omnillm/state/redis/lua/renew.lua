-- Say that an owner is alive, settle what the dead hold, forget idle accounts a few at a time.
-- Answers: how many owners live, where the next look at the accounts begins, and what the owner holds here.

local prefix, owner = KEYS[1], ARGV[2]
local given, window, lease = unpack_('<ddd', ARGV[1])
local now, books = server_time(given), prefix .. 'books'
local R = rare()
R.beat(prefix, owner, now, lease)
forget(prefix, owner, ARGV[3])
for _, lane in ipairs(R.believe(ARGV[5], now, window)) do
  write_lane(lane, now)
end
LANES = {}
R.reap(prefix, owner, now, window)
local cursor = '0'
if call('HLEN', books) > 1024 then
  local some = call('HSCAN', books, ARGV[4], 'COUNT', 256)
  cursor = some[1]
  for i = 1, #some[2], 2 do
    local field, raw = some[2][i], some[2][i + 1]
    if #raw == 40 and field ~= 'epoch' and field ~= 'spent' then
      local sh, sl, rh, rl, resets = unpack_('<ddddd', raw)
      if rh == 0 and rl == 0 and (now >= resets or (sh == 0 and sl == 0)) then
        call('HDEL', books, field)
      end
    end
  end
end
return {tostring(call('ZCARD', prefix .. 'owners')), cursor, unpack(call('HKEYS', held_key(prefix, owner)))}
