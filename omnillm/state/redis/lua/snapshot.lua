-- Tell how the lanes of a pool stand: 'REQUESTS TOKENS IN_FLIGHT_REQUESTS IN_FLIGHT_TOKENS COOL ASIDE PAIR FAILURES OPEN TRYING'.
-- The first answer is the time.

local prefix, pool, seats = KEYS[1], ARGV[2], ARGV[3]
local given, window, count = unpack_('<ddd', ARGV[1])
local now, asides = server_time(given), prefix .. 'aside:' .. pool
local R = rare()
for _, lane in ipairs(R.believe(ARGV[4], now, window)) do
  write_lane(lane, now)
end
while R.reap(prefix, '', now, window) do
end
LANES = {}
local answers = {string.format('%.6f', now)}
for i = 0, count - 1 do
  local tpm, rpm, at, length, digest = unpack_('<ddI4I2c12', seats, 1 + i * 34)
  local name = string.sub(seats, at, at + length - 1)
  local label = string.match(name, '^[^%z]*')
  local lane = read_lane(prefix .. 'key:' .. digest .. ':' .. label)
  lane.tpm, lane.rpm = tpm, rpm
  R.expire(lane, now, window)
  local requests, tokens = used(lane, now)
  local found = call('HMGET', asides, label, name)
  local aside = found[1] and unpack_('<d', found[1]) or 0
  local pair = name ~= label and found[2] and unpack_('<d', found[2]) or 0
  answers[#answers + 1] = string.format('%.0f %.0f %.0f %.0f %.6f %.6f %.6f %.0f %.6f %d', requests, tokens, lane.freq,
    lane.ftok, lane.cool, aside, pair, lane.failures, lane.open, lane.trial ~= '' and 1 or 0)
end
return answers
