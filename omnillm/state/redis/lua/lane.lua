-- A lane: what one key may take, of one model or of all: the window, the breaker, the cool-down, the usual latency. One hash: its
-- figures in the field 's', and a field for each slot of the window's log, named by its place. The rules are those of
-- policy/window.py, policy/lane.py and policy/breaker.py; but slots past their minute are left behind only where that makes room,
-- or when many have come together.

local call, pack, unpack_, max, min, huge = redis.call, struct.pack, struct.unpack, math.max, math.min, math.huge
local LANE = '<ddddddddddddddddddddddddds'
local SLOT = '<dddd' -- let in at, requests, tokens, settled
local OVERDUE, MERGED, TTL, TOUCH = 1, 256, 86400, 3600
local LEAST = 0.000001 -- the clock's resolution
local LANES = {}

local function server_time(given)
  if given >= 0 then
    return given
  end
  local time = call('TIME')
  return time[1] + time[2] / 1000000
end

local function read_lane(key)
  local lane = LANES[key]
  if lane then
    return lane
  end
  local raw = call('HGET', key, 's')
  if raw then
    local head, tail, head_at, merged, req, tok, oreq, otok, nreq, ntok, rleft, rplace, runtil, tleft, tplace, tuntil, cool,
      failures, open, gen, latency, measured, freq, ftok, touched, trial = unpack_(LANE, raw)
    lane = {key = key, is_new = false, slots = nil, gone = nil, head = head, tail = tail, head_at = head_at, merged = merged,
      req = req, tok = tok, oreq = oreq, otok = otok, nreq = nreq, ntok = ntok, rleft = rleft, rplace = rplace, runtil = runtil,
      tleft = tleft, tplace = tplace, tuntil = tuntil, cool = cool, failures = failures, open = open, gen = gen,
      latency = latency, measured = measured, freq = freq, ftok = ftok, touched = touched, trial = trial, aside = 0, pair = 0}
  else
    lane = {key = key, is_new = true, head = 0, tail = 0, head_at = 0, merged = 0, req = 0, tok = 0, oreq = 0, otok = 0,
      nreq = 0, ntok = 0, rleft = 0, rplace = 0, runtil = 0, tleft = 0, tplace = 0, tuntil = 0, cool = 0, failures = 0,
      open = -1, gen = 0, latency = -1, measured = 0, freq = 0, ftok = 0, touched = -TTL, trial = '', aside = 0, pair = 0}
  end
  LANES[key] = lane
  return lane
end

-- Write a lane's figures, and one slot of its log, besides those that wait to be written.
local function write_lane(lane, now, name, slot)
  local stale = now - lane.touched > TOUCH or now < lane.touched
  if stale then
    lane.touched = now
  end
  local raw = pack(LANE, lane.head, lane.tail, lane.head_at, lane.merged, lane.req, lane.tok, lane.oreq, lane.otok, lane.nreq,
    lane.ntok, lane.rleft, lane.rplace, lane.runtil, lane.tleft, lane.tplace, lane.tuntil, lane.cool, lane.failures, lane.open,
    lane.gen, lane.latency, lane.measured, lane.freq, lane.ftok, lane.touched, lane.trial)
  if name then
    call('HSET', lane.key, 's', raw, name, slot)
  else
    call('HSET', lane.key, 's', raw)
  end
  for command, fields in pairs({HSET = lane.slots, HDEL = lane.gone}) do
    for first = 1, #fields, 512 do
      call(command, lane.key, unpack(fields, first, min(first + 511, #fields)))
    end
  end
  lane.slots, lane.gone = nil, nil
  if stale then
    call('EXPIRE', lane.key, TTL)
  end
end

local function place(number)
  return string.format('%d', number)
end

-- Read up to so many slots from a place on: their names, and what is there.
local function slots_from(lane, first, most)
  local names = {}
  for position = first, min(first + most - 1, lane.tail - 1) do
    names[#names + 1] = place(position)
  end
  return names, call('HMGET', lane.key, unpack(names))
end

-- Leave behind what is past its minute: no longer counted if settled, counted as overdue if not.
local function expire(lane, now, window)
  lane.gone = lane.gone or {}
  local most = 16
  while lane.head < lane.tail and now > lane.head_at + window do
    local names, slots = slots_from(lane, lane.head, most)
    for i, name in ipairs(names) do
      if slots[i] then
        local at, requests, tokens, settled = unpack_(SLOT, slots[i])
        if now <= at + window then
          lane.head_at = at
          return
        elseif settled == 1 then
          lane.req, lane.tok = lane.req - requests, lane.tok - tokens
        else
          lane.oreq, lane.otok = lane.oreq + requests, lane.otok + tokens
        end
        lane.gone[#lane.gone + 1] = name
      end
      lane.head = lane.head + 1
    end
    lane.head_at, most = -huge, 256
  end
  if lane.head == lane.tail and lane.freq == 0 then -- nothing is left: whatever was evicted is made good
    lane.req, lane.tok, lane.oreq, lane.otok = 0, 0, 0, 0
  end
end

-- Give the requests and tokens that count now.
local function used(lane, now)
  local requests, tokens = lane.req, lane.tok
  if now < lane.runtil then
    requests = max(requests, lane.rpm - lane.rleft + lane.nreq)
  end
  if now < lane.tuntil then
    tokens = max(tokens, lane.tpm - lane.tleft + lane.ntok)
  end
  return requests, tokens
end

-- Correct what a slot counts for, once it is known; give its name and what it is from now on, where it is still in the log.
local function settle_slot(lane, held, requests, tokens)
  lane.freq, lane.ftok = max(0, lane.freq - 1), max(0, lane.ftok - held.tokens)
  if held.position >= lane.tail then
    return nil -- the lane began anew
  end
  if held.position >= lane.rplace then
    lane.nreq = lane.nreq + requests - 1
  end
  if held.position >= lane.tplace then
    lane.ntok = lane.ntok + tokens - held.tokens
  end
  local name, slot
  if held.position < lane.head then
    requests, tokens = 0, 0
    lane.oreq, lane.otok = max(0, lane.oreq - 1), max(0, lane.otok - held.tokens)
  else
    name, slot = place(held.position), pack(SLOT, held.at, requests, tokens, 1)
  end
  lane.req, lane.tok = max(0, lane.req + requests - 1), max(0, lane.tok + tokens - held.tokens)
  return name, slot
end

-- Take the outcome of a call of that generation: the transitions of policy/breaker.py.
local function settle_breaker(lane, outcome, id, generation, now, threshold, cooldown)
  if lane.open >= 0 then
    if lane.trial ~= id then
      return
    end
    lane.trial = ''
    if outcome == 'success' then
      lane.failures, lane.open = 0, -1
    elseif outcome ~= 'neutral' then
      lane.failures = lane.failures + (outcome == 'failure' and 1 or 0)
      lane.open = now + cooldown
    end
  elseif generation == lane.gen and outcome == 'success' then
    lane.failures = 0
  elseif generation == lane.gen and outcome == 'failure' then
    lane.failures = lane.failures + 1
    if lane.failures >= threshold then
      lane.open, lane.gen = now + cooldown, lane.gen + 1
    end
  end
end

-- Believe the provider where it says that less is left than is counted: a blob of lanes, what is left and for how long.
local function believe(reports, now, window)
  local at, touched = 1, {}
  while at <= #reports do
    local requests, request_reset, tokens, token_reset, length
    requests, request_reset, tokens, token_reset, length, at = unpack_('<ddddI2', reports, at)
    local lane = read_lane(string.sub(reports, at, at + length - 1))
    at = at + length
    if requests >= 0 then
      lane.rleft, lane.rplace, lane.nreq = requests, lane.tail, 0
      lane.runtil = now + min(request_reset < 0 and window or request_reset, 86400)
    end
    if tokens >= 0 then
      lane.tleft, lane.tplace, lane.ntok = tokens, lane.tail, 0
      lane.tuntil = now + min(token_reset < 0 and window or token_reset, 86400)
    end
    touched[#touched + 1] = lane
  end
  return touched
end
