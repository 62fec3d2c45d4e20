-- Let a key be used again: not retired, set aside, cooling or failing any longer. The lanes are those of the key's models.

local prefix, pool, label, seats = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local given, count = unpack_('<dd', ARGV[1])
local now, asides = server_time(given), prefix .. 'aside:' .. pool
local cursor = '0'
repeat
  local some = call('HSCAN', asides, cursor, 'COUNT', 512)
  cursor = some[1]
  for i = 1, #some[2], 2 do
    if string.match(some[2][i], '^[^%z]*') == label then
      call('HDEL', asides, some[2][i])
    end
  end
until cursor == '0'
for i = 0, count - 1 do
  local _, _, _, _, digest = unpack_('<ddI4I2c12', seats, 1 + i * 34)
  local lane = read_lane(prefix .. 'key:' .. digest .. ':' .. label)
  lane.cool, lane.failures, lane.open, lane.trial, lane.gen = 0, 0, -1, '', lane.gen + 1
  write_lane(lane, now)
end
return '+'
