-- A lane: what one key may take, of one model or of all: the window, the breaker, the cool-down, the usual latency. One hash: its
-- figures in the field 's', and a field for each slot of the window's log, named by its place. The rules are those of
-- policy/window.py, policy/lane.py and policy/breaker.py.

local LANE = '<' .. string.rep('d', 25) .. 's'
local SLOT = '<dddd' -- let in at, requests, tokens, settled
local OVERDUE = 1
local MERGED, GRAIN = 256, 0.25
local MOST_CORRECTION = 86400
local TTL, TOUCH = 86400, 3600
local LEAST = 0.000001 -- the clock's resolution

local function server_time(given)
  if given >= 0 then
    return given
  end
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end

local LANES = {}

local function read_lane(key)
  local lane = LANES[key]
  if lane then
    return lane
  end
  lane = {key = key, gone = {}, slots = {}}
  local raw = redis.call('HGET', key, 's')
  lane.is_new = not raw
  if raw then
    lane.head, lane.tail, lane.head_at, lane.merged, lane.req, lane.tok, lane.oreq, lane.otok, lane.nreq, lane.ntok,
      lane.rleft, lane.rplace, lane.runtil, lane.tleft, lane.tplace, lane.tuntil, lane.cool, lane.failures, lane.open,
      lane.gen, lane.latency, lane.measured, lane.freq, lane.ftok, lane.touched, lane.trial = struct.unpack(LANE, raw)
  else
    lane.head, lane.tail, lane.head_at, lane.merged, lane.req, lane.tok, lane.oreq, lane.otok = 0, 0, 0, 0, 0, 0, 0, 0
    lane.nreq, lane.ntok, lane.rleft, lane.rplace, lane.runtil, lane.tleft, lane.tplace, lane.tuntil = 0, 0, 0, 0, 0, 0, 0, 0
    lane.cool, lane.failures, lane.open, lane.gen, lane.latency, lane.measured = 0, 0, -1, 0, -1, 0
    lane.freq, lane.ftok, lane.touched, lane.trial = 0, 0, -TTL, ''
  end
  LANES[key] = lane
  return lane
end

local function write_lane(lane, now)
  local stale = now - lane.touched > TOUCH or now < lane.touched
  if stale then
    lane.touched = now
  end
  local fields = lane.slots
  fields[#fields + 1] = 's'
  fields[#fields + 1] = struct.pack(LANE, lane.head, lane.tail, lane.head_at, lane.merged, lane.req, lane.tok, lane.oreq,
    lane.otok, lane.nreq, lane.ntok, lane.rleft, lane.rplace, lane.runtil, lane.tleft, lane.tplace, lane.tuntil, lane.cool,
    lane.failures, lane.open, lane.gen, lane.latency, lane.measured, lane.freq, lane.ftok, lane.touched, lane.trial)
  for first = 1, #fields, 512 do
    redis.call('HSET', lane.key, unpack(fields, first, math.min(first + 511, #fields)))
  end
  for first = 1, #lane.gone, 512 do
    redis.call('HDEL', lane.key, unpack(lane.gone, first, math.min(first + 511, #lane.gone)))
  end
  if stale then
    redis.call('EXPIRE', lane.key, TTL)
  end
  lane.slots, lane.gone = {}, {}
end

local function place(number)
  return string.format('%d', number)
end

-- Read up to so many slots from a place on: their names, and what is there.
local function slots_from(lane, first, most)
  local names = {}
  for position = first, math.min(first + most - 1, lane.tail - 1) do
    names[#names + 1] = place(position)
  end
  return names, redis.call('HMGET', lane.key, unpack(names))
end

-- Leave behind what is past its minute: no longer counted if settled, counted as overdue if not.
local function expire(lane, now, window)
  local most = 4
  while lane.head < lane.tail and now > lane.head_at + window do
    local names, slots = slots_from(lane, lane.head, most)
    for i, name in ipairs(names) do
      if slots[i] then
        local at, requests, tokens, settled = struct.unpack(SLOT, slots[i])
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
    lane.head_at, most = -math.huge, 128
  end
  if lane.head == lane.tail and lane.freq == 0 then -- nothing is left: whatever was evicted is made good
    lane.req, lane.tok, lane.oreq, lane.otok = 0, 0, 0, 0
  end
end

-- Give the requests and tokens that count now.
local function used(lane, now)
  local requests, tokens = lane.req, lane.tok
  if now < lane.runtil then
    requests = math.max(requests, lane.rpm - lane.rleft + lane.nreq)
  end
  if now < lane.tuntil then
    tokens = math.max(tokens, lane.tpm - lane.tleft + lane.ntok)
  end
  return requests, tokens
end

-- Give the tokens that a request may take now; below zero where no request may.
local function left(lane, now)
  if now < lane.aside or now < lane.pair or now < lane.cool then
    return -1
  end
  if lane.open >= 0 and (now < lane.open or lane.trial ~= '') then
    return -1
  end
  local requests, tokens = used(lane, now)
  return requests < lane.rpm and lane.tpm - tokens or -1
end

-- Give the earliest time at which a request fits the window, if calls in flight leave with their minute.
local function window_opening(lane, tokens, now, window)
  if tokens > lane.tpm then
    return math.huge
  end
  local at, requests, taken = now, lane.req, lane.tok
  local overdue = (lane.oreq > 0 or lane.otok > 0) and now + OVERDUE or math.huge
  local position, names, slots, i, most = lane.head, {}, {}, 0, 8
  while requests >= lane.rpm or taken + tokens > lane.tpm do
    local leaves, fewer_requests, fewer_tokens = math.huge, 0, 0
    while leaves == math.huge do
      if i == #names then
        if position >= lane.tail then
          break
        end
        names, slots = slots_from(lane, position, most)
        i, most = 0, 128
      end
      i, position = i + 1, position + 1
      if slots[i] then
        local let_in
        let_in, fewer_requests, fewer_tokens = struct.unpack(SLOT, slots[i])
        leaves = let_in + window + LEAST
      end
    end
    if overdue < leaves then
      at, requests, taken, overdue = overdue, requests - lane.oreq, taken - lane.otok, math.huge
      i, position = i - (leaves < math.huge and 1 or 0), position - (leaves < math.huge and 1 or 0)
    elseif leaves == math.huge then
      break
    else
      at, requests, taken = leaves, requests - fewer_requests, taken - fewer_tokens
    end
  end
  if now < lane.runtil and lane.rleft <= lane.nreq then
    at = math.max(at, lane.runtil)
  end
  if now < lane.tuntil and lane.tleft - lane.ntok < tokens then
    at = math.max(at, lane.tuntil)
  end
  return at
end

-- Give until when the key takes nothing at all, windows apart, and why.
local function blocked(lane, now)
  local aside = math.max(lane.aside, lane.pair)
  local cooling = math.max(aside, lane.cool)
  local resting = 0
  if lane.open >= 0 then
    resting = (now >= lane.open and lane.trial ~= '') and now + OVERDUE or lane.open
  end
  if resting > cooling then
    return resting, 'breaker'
  end
  return cooling, aside == math.huge and 'dead' or 'cooling'
end

-- Give the earliest time at which the request may take the key, and what holds it until then; no search where that is too late.
local function opening(lane, tokens, now, window, best)
  local until_, reason = blocked(lane, now)
  if until_ >= best then
    return until_, reason
  end
  local at = window_opening(lane, tokens, now, window)
  if until_ > now and until_ >= at then
    return until_, reason
  end
  return at, at == math.huge and 'too_large' or 'window'
end

-- Merge the slots of one lot that settled, each into the first of its quarter of a second: they leave with the last of them.
local function merge(lane)
  local start = math.max(lane.merged, lane.head)
  local names, slots = slots_from(lane, start, MERGED)
  lane.merged = start + MERGED
  local kept, grain, at, requests, tokens, changed
  local function keep()
    if changed then
      lane.slots[#lane.slots + 1] = kept
      lane.slots[#lane.slots + 1] = struct.pack(SLOT, at, requests, tokens, 1)
      if kept == place(lane.head) then
        lane.head_at = at
      end
    end
    kept, changed = nil, false
  end
  for i, name in ipairs(names) do
    if slots[i] then
      local let_in, asked, took, settled = struct.unpack(SLOT, slots[i])
      if kept and settled == 1 and math.floor(let_in / GRAIN) == grain then
        at, requests, tokens, changed = let_in, requests + asked, tokens + took, true
        lane.gone[#lane.gone + 1] = name
      else
        keep()
        if settled == 1 then
          kept, grain, at, requests, tokens = name, math.floor(let_in / GRAIN), let_in, asked, took
        end
      end
    end
  end
  keep()
end

-- Let a request in; give its place in the log.
local function let_in(lane, tokens, now)
  local position = lane.tail
  if lane.head == position then
    lane.head_at = now
  end
  lane.slots[#lane.slots + 1] = place(position)
  lane.slots[#lane.slots + 1] = struct.pack(SLOT, now, 1, tokens, 0)
  lane.tail = position + 1
  lane.req, lane.tok, lane.nreq, lane.ntok = lane.req + 1, lane.tok + tokens, lane.nreq + 1, lane.ntok + tokens
  lane.freq, lane.ftok = lane.freq + 1, lane.ftok + tokens
  if position - math.max(lane.merged, lane.head) >= 2 * MERGED then
    merge(lane)
  end
  return position
end

-- Correct what a slot counts for, once it is known.
local function settle_slot(lane, held, requests, tokens)
  lane.freq, lane.ftok = math.max(0, lane.freq - 1), math.max(0, lane.ftok - held.tokens)
  if held.position >= lane.tail then
    return -- the lane began anew
  end
  if held.position >= lane.rplace then
    lane.nreq = lane.nreq + requests - 1
  end
  if held.position >= lane.tplace then
    lane.ntok = lane.ntok + tokens - held.tokens
  end
  if held.position < lane.head then
    requests, tokens = 0, 0
    lane.oreq, lane.otok = math.max(0, lane.oreq - 1), math.max(0, lane.otok - held.tokens)
  else
    lane.slots[#lane.slots + 1] = place(held.position)
    lane.slots[#lane.slots + 1] = struct.pack(SLOT, held.at, requests, tokens, 1)
  end
  lane.req, lane.tok = math.max(0, lane.req + requests - 1), math.max(0, lane.tok + tokens - held.tokens)
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

-- Take the newest latency into the moving average; the older that is, the more the newest counts.
local function measure(lane, took, succeeded, now)
  if took < 0 or not (succeeded or (lane.latency >= 0 and took > lane.latency)) then
    return
  end
  if lane.latency >= 0 then
    took = lane.latency + math.max(0.2, 1 - math.exp((lane.measured - now) / 30)) * (took - lane.latency)
  end
  lane.latency, lane.measured = took, now
end

-- Believe the provider where it says that less is left than is counted: a blob of lanes, what is left and for how long.
local function believe(reports, now, window)
  local at, touched = 1, {}
  while at <= #reports do
    local requests, request_reset, tokens, token_reset, length
    requests, request_reset, tokens, token_reset, length, at = struct.unpack('<ddddI2', reports, at)
    local lane = read_lane(string.sub(reports, at, at + length - 1))
    at = at + length
    if requests >= 0 then
      lane.rleft, lane.rplace, lane.nreq = requests, lane.tail, 0
      lane.runtil = now + math.min(request_reset < 0 and window or request_reset, MOST_CORRECTION)
    end
    if tokens >= 0 then
      lane.tleft, lane.tplace, lane.ntok = tokens, lane.tail, 0
      lane.tuntil = now + math.min(token_reset < 0 and window or token_reset, MOST_CORRECTION)
    end
    touched[#touched + 1] = lane
  end
  return touched
end
