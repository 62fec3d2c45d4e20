-- Take a key, its windows and the money in one step, or nothing at all. Reads everything before it writes anything.
-- Answers: '+ SEAT TRIAL', '- REASON WAIT PAIRS', '$ PLACE SPENT RESERVED RESETS NOW' (four numbers of money),
-- '@ NOW' (another calendar), '!' (the books are gone), '~' (the reservation is over already).

local prefix, pool = KEYS[1], ARGV[4]
local given, window, tokens, ch, cl, pt, ph, pl, seed, selection, dry, beats, lease, count, cooldown =
  struct.unpack('<ddddddddddddddd', ARGV[1])
local seats, name, owner, model, exclude, epoch = ARGV[2], ARGV[3], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local now, books, asides = server_time(given), prefix .. 'books', prefix .. 'aside:' .. pool
local reported = believe(ARGV[10], now, window)
local shared, of_key = accounts_of(ARGV[11], '', now), ARGV[12]
if not shared or not accounts_of(of_key, '', now) then
  return string.format('@ %.6f', now)
end
if epoch ~= '' and redis.call('HGET', books, 'epoch') ~= epoch then
  return '!'
end
read_accounts(books, shared, now)

local function no_money(place_, account)
  return string.format('$ %d %.0f %.0f %.0f %.0f %.6f %.6f', place_, account.sh, account.sl, account.rh, account.rl,
    account.resets, now)
end

local function last_refusal(accounts)
  local found
  for i, account in ipairs(accounts) do
    if not allows(account, ch, cl) and (not found or account.resets > accounts[found].resets) then
      found = i
    end
  end
  return found
end

local looked = {}

local function look(i)
  local tpm, rpm, at, length, digest = struct.unpack('<ddI4I2c12', seats, 1 + i * 34)
  local label = string.sub(seats, at, at + length - 1)
  if exclude ~= '' and string.find(exclude, '\0' .. label .. '\0', 1, true) then
    return nil
  end
  local lane = read_lane(prefix .. 'key:' .. digest .. ':' .. label)
  lane.tpm, lane.rpm, lane.seat, lane.label, lane.aside, lane.pair = tpm, rpm, i, label, 0, 0
  if asides then
    local found = redis.call('HMGET', asides, label, label .. '\0' .. model)
    lane.aside = found[1] and struct.unpack('<d', found[1]) or 0
    lane.pair = found[2] and struct.unpack('<d', found[2]) or 0
  end
  lane.accounts = of_key == '' and {} or read_accounts(books, accounts_of(of_key, pool .. '\31' .. label, now), now)
  lane.broke = last_refusal(lane.accounts)
  expire(lane, now, window)
  lane.takes = not lane.broke and left(lane, now) >= tokens
  looked[#looked + 1] = lane
  return lane
end

-- Draw seats until so many take the request; each seat is drawn once, and all are equally likely.
local function draw(most)
  local fitting, order = {}, {}
  if count > 1 then
    math.randomseed(seed)
  end
  for i = 0, count - 1 do
    local j = i < count - 1 and math.random(i, count - 1) or i
    local seat = order[j] or j
    order[j] = order[i] or i
    local lane = look(seat)
    if lane and lane.takes then
      fitting[#fitting + 1] = lane
      if #fitting == most then
        break
      end
    end
  end
  return fitting
end

local function load_of(lane)
  local requests, taken = used(lane, now)
  return math.max(requests / lane.rpm, taken / lane.tpm)
end

local function slowness(lane)
  if lane.latency >= 0 then
    return lane.latency
  end
  return used(lane, now) > 0 and math.huge or -1
end

local function choose()
  if selection == 0 then
    return draw(1)[1]
  end
  local fitting, best = {}, nil
  if selection == 1 and count <= 32 then
    for i = 0, count - 1 do
      local lane = look(i)
      fitting[#fitting + 1] = lane and lane.takes and lane or nil
    end
  else
    fitting = draw(count <= 32 and count or 8)
  end
  for _, lane in ipairs(fitting) do
    lane.rank = selection == 1 and load_of(lane) or slowness(lane)
    if not best or lane.rank < best.rank then
      best = lane
    end
  end
  return best
end

local function hopeless()
  if #looked == 0 then
    return '- no_key -1 0'
  end
  local fits, living = false, {}
  for _, lane in ipairs(looked) do
    fits = fits or tokens <= lane.tpm
    if blocked(lane, now) < math.huge then
      living[#living + 1] = lane
    end
  end
  if not fits then
    return '- too_large -1 0'
  elseif #living == 0 then
    return '- dead -1 ' .. (asides and 1 or 0)
  end
  for _, lane in ipairs(living) do
    for i, account in ipairs(lane.accounts) do
      if not allows(account, ch, cl) then
        return no_money(#shared + i - 1, account)
      end
    end
  end
  return '- too_large -1 0'
end

local function refusal()
  local best, reason, pairs_ = math.huge, nil, 0
  for _, lane in ipairs(looked) do
    pairs_ = math.max(pairs_, lane.pair > now and 1 or 0)
    if not lane.broke then
      local at, why = opening(lane, tokens, now, window, best)
      if at < best then
        best, reason = at, why
      end
    end
    if #lane.gone > 16 and dry == 0 then
      write_lane(lane, now)
    end
  end
  if best == math.huge then
    return hopeless()
  end
  return string.format('- %s %.6f %d', reason, best - now + LEAST / 2, pairs_) -- rounded up
end

local function decide()
  local refused = last_refusal(shared)
  if refused then
    return nil, no_money(refused - 1, shared[refused])
  end
  if redis.call('EXISTS', asides) == 0 then
    asides = nil
  end
  local lane = choose()
  if lane then
    return lane
  end
  return nil, refusal()
end

local lane, answer = decide()
if not lane and reap(prefix, now, window) then
  LANES, looked, asides = {}, {}, prefix .. 'aside:' .. pool
  believe(ARGV[10], now, window)
  read_accounts(books, shared, now)
  lane, answer = decide()
end
if not lane or dry == 1 then
  for _, one in ipairs(reported) do
    write_lane(LANES[one.key] or one, now)
  end
  return answer or '+ 0 0'
end

local held = {at = now, tokens = tokens, ch = ch, cl = cl, pt = pt, ph = ph, pl = pl, generation = lane.gen, seat = lane.seat,
  trial = lane.open >= 0 and 1 or 0, lane = lane.key, position = lane.tail, cooldown = cooldown, fields = {}}
for _, account in ipairs(lane.accounts) do
  shared[#shared + 1] = account
end
for i, account in ipairs(shared) do
  held.fields[i] = account.field
  account.rh, account.rl = plus(account.rh, account.rl, ch, cl)
end
local key = held_key(prefix, owner)
if redis.call('HSETNX', key, name, packed(held)) == 0 then
  local known = redis.call('HGET', key, name)
  if known == '+' then
    return '~'
  end
  known = unpacked(known)
  return string.format('+ %d %d', known.seat, known.trial)
end
if held.trial == 1 then
  lane.trial = owner .. ':' .. name
end
let_in(lane, tokens, now)
write_accounts(books, shared)
for _, one in ipairs(reported) do
  if one ~= lane then
    write_lane(LANES[one.key] or one, now)
  end
end
write_lane(lane, now)
forget(prefix, owner, ARGV[9])
if beats == 1 then
  beat(prefix, owner, now, lease)
end
return string.format('+ %d %d', lane.seat, held.trial)
