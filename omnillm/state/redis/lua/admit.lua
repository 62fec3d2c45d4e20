-- Take a key, its windows and the money in one step, or nothing at all. Reads everything before it writes anything.
-- Answers: '+ SEAT TRIAL AT', '- REASON WAIT PAIRS', '$ PLACE SPENT RESERVED RESETS NOW' (four numbers of money), '@ NOW' (another
-- calendar), '!' (the books are gone), '~' (the reservation is over already).

local prefix, pool, name, owner, model, of_key = KEYS[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[12]
local given, window, tokens, ch, cl, pt, ph, pl, seed, selection, dry, beats, lease, count, cooldown =
  unpack_('<ddddddddddddddd', ARGV[1])
local seats, exclude, epoch = ARGV[2], ARGV[7], ARGV[8]
local now, books, asides = server_time(given), prefix .. 'books', prefix .. 'aside:' .. pool
local M, R, reported, shared = nil, nil, nil, nil
if ARGV[10] ~= '' then
  R = rare()
  reported = R.believe(ARGV[10], now, window)
end
if epoch ~= '' then
  M = money()
  shared = M.accounts_of(ARGV[11], '', now)
  if not shared or not M.accounts_of(of_key, '', now) then
    return string.format('@ %.6f', now)
  elseif call('HGET', books, 'epoch') ~= epoch then
    return '!'
  end
  M.read_accounts(books, shared, now)
end
local has_asides = call('EXISTS', asides) == 1
local looked = {}

local function last_refusal(accounts)
  local found
  for i, account in ipairs(accounts or {}) do
    if not M.allows(account, ch, cl) and (not found or account.resets > accounts[found].resets) then
      found = i
    end
  end
  return found
end

-- Give the tokens that a request may take of the lane now; below zero where no request may.
local function left(lane)
  if now < lane.aside or now < lane.pair or now < lane.cool or (lane.open >= 0 and (now < lane.open or lane.trial ~= '')) then
    return -1
  end
  local requests, taken = used(lane, now)
  return requests < lane.rpm and lane.tpm - taken or -1
end

-- Look at a seat: whether its key takes the request; nothing where the caller excludes it.
local function look(i, exact)
  local tpm, rpm, at, length, digest = unpack_('<ddI4I2c12', seats, 1 + i * 34)
  local label = string.sub(seats, at, at + length - 1)
  if exclude ~= '' and string.find(exclude, '\0' .. label .. '\0', 1, true) then
    return nil
  end
  local lane = read_lane(prefix .. 'key:' .. digest .. ':' .. label)
  lane.tpm, lane.rpm, lane.seat, lane.accounts, lane.broke = tpm, rpm, i, nil, nil
  if has_asides then
    local found = call('HMGET', asides, label, label .. '\0' .. model)
    lane.aside, lane.pair = found[1] and unpack_('<d', found[1]) or 0, found[2] and unpack_('<d', found[2]) or 0
  end
  if of_key ~= '' then
    lane.accounts = M.read_accounts(books, M.accounts_of(of_key, pool .. '\31' .. label, now), now)
    lane.broke = last_refusal(lane.accounts)
  end
  local overdue = now - window - lane.head_at
  if lane.head < lane.tail and overdue > 0 and (exact or overdue > window / 4 or left(lane) < tokens) then
    R = R or rare()
    R.expire(lane, now, window)
  end
  lane.takes = not lane.broke and left(lane) >= tokens
  looked[#looked + 1] = lane
  return lane
end

-- Look for a key among all seats; give why there is none.
local function search()
  R = R or rare()
  local opening, blocked = R.opening, R.blocked

  local function no_money(at, account)
    return string.format('$ %d %.0f %.0f %.0f %.0f %.6f %.6f', at, account.sh, account.sl, account.rh, account.rl,
      account.resets, now)
  end

  -- Draw seats until so many take the request; each seat is drawn once, and all are equally likely.
  local function draw(most, exact)
    local fitting, order = {}, {}
    math.randomseed(seed)
    for i = 0, count - 1 do
      local j = i == 0 and seed % count or math.random(i, count - 1)
      local seat = order[j] or j
      order[j] = order[i] or i
      local lane = look(seat, exact)
      if lane and lane.takes then
        fitting[#fitting + 1] = lane
        if #fitting == most then
          break
        end
      end
    end
    return fitting
  end

  local function rank(lane)
    local requests, taken = used(lane, now)
    if selection == 1 then
      return max(requests / lane.rpm, taken / lane.tpm)
    elseif lane.latency >= 0 then
      return lane.latency
    end
    return requests > 0 and huge or -1
  end

  local function choose()
    if selection == 0 then
      return draw(1)[1]
    end
    local fitting, best, least = {}, nil, nil
    if selection == 1 and count <= 32 then
      for i = 0, count - 1 do
        local lane = look(i, true)
        fitting[#fitting + 1] = lane and lane.takes and lane or nil
      end
    else
      fitting = draw(count <= 32 and count or 8, true)
    end
    for _, lane in ipairs(fitting) do
      local ours = rank(lane)
      if not best or ours < least then
        best, least = lane, ours
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
      if blocked(lane, now) < huge then
        living[#living + 1] = lane
      end
    end
    if not fits then
      return '- too_large -1 0'
    elseif #living == 0 then
      return '- dead -1 ' .. (has_asides and 1 or 0)
    end
    for _, lane in ipairs(living) do
      for i, account in ipairs(lane.accounts or {}) do
        if not M.allows(account, ch, cl) then
          return no_money(#shared + i - 1, account)
        end
      end
    end
    return '- too_large -1 0'
  end

  local function refusal()
    local best, reason, pairs_ = huge, nil, 0
    for _, lane in ipairs(looked) do
      pairs_ = max(pairs_, lane.pair > now and 1 or 0)
      if not lane.broke then
        local at, why = opening(lane, tokens, now, window, best)
        if at < best then
          best, reason = at, why
        end
      end
      if lane.gone and #lane.gone > 16 and dry == 0 then
        write_lane(lane, now)
      end
    end
    if best == huge then
      return hopeless()
    end
    return string.format('- %s %.6f %d', reason, best - now + LEAST / 2, pairs_) -- rounded up
  end

  local function decide()
    local refused = last_refusal(shared)
    if refused then
      return nil, no_money(refused - 1, shared[refused])
    end
    looked = {}
    local lane = choose()
    if lane then
      return lane
    end
    return nil, refusal()
  end

  local lane, answer = decide()
  if not lane and R.reap(prefix, owner, now, window) then
    LANES, has_asides = {}, call('EXISTS', asides) == 1
    reported = R.believe(ARGV[10], now, window)
    if M then
      M.read_accounts(books, shared, now)
    end
    lane, answer = decide()
  end
  return lane, answer
end

local function write_reported(but)
  for _, one in ipairs(reported or {}) do
    if one ~= but then
      write_lane(one, now)
    end
  end
end

local lane, answer
if selection == 0 and count > 0 and not last_refusal(shared) then
  lane = look(seed % count)
end
if not lane or not lane.takes then
  lane, answer = search()
end
local key = held_key(prefix, owner)

-- Give what was answered before, and lost on its way; the decision above counts for nothing.
local function replayed()
  local known = call('HGET', key, name)
  if not known then
    return nil
  elseif known == '+' then
    return '~'
  end
  known = unpacked(known)
  return string.format('+ %d %d %.6f', known.seat, known.trial, known.at)
end

if not lane or dry == 1 then
  write_reported()
  return dry == 0 and replayed() or answer or '+ 0 0 0'
end

local fields = ''
if M then
  for _, account in ipairs(lane.accounts or {}) do
    shared[#shared + 1] = account
  end
  for _, account in ipairs(shared) do
    fields = fields .. account.field .. '\0'
    account.rh, account.rl = M.plus(account.rh, account.rl, ch, cl)
  end
end
local position, trial = lane.tail, lane.open >= 0 and 1 or 0
local raw = pack(HELD, now, position, tokens, ch, cl, pt, ph, pl, lane.gen, lane.seat, trial, cooldown, lane.key) .. fields
if call('HSETNX', key, name, raw) == 0 then
  return replayed()
end
if trial == 1 then
  lane.trial = owner .. ':' .. name
end
if lane.head == position then
  lane.head_at = now
end
lane.tail = position + 1
lane.req, lane.tok, lane.nreq, lane.ntok = lane.req + 1, lane.tok + tokens, lane.nreq + 1, lane.ntok + tokens
lane.freq, lane.ftok = lane.freq + 1, lane.ftok + tokens
if position - max(lane.merged, lane.head) >= 2 * MERGED then
  R = R or rare()
  R.merge(lane)
end
if M then
  M.write_accounts(books, shared)
end
if reported then
  write_reported(lane)
end
write_lane(lane, now, string.format('%d', position), pack(SLOT, now, 1, tokens, 0))
if ARGV[9] ~= '' then
  forget(prefix, owner, ARGV[9])
end
if beats == 1 then
  R = R or rare()
  R.beat(prefix, owner, now, lease)
end
return string.format('+ %d %d %.6f', lane.seat, trial, now)
