-- A lane: what one key may take, of one model or of all: the window, the breaker, the cool-down, the usual latency. One hash: its
-- figures in the field 's', and a field for each slot of the window's log, named by its place. The rules are those of
-- policy/window.py, policy/lane.py and policy/breaker.py; but slots past their minute are left behind only where that makes room,
-- or when many have come together.
-- What only some calls need is made only for them (rare.lua, money.lua): to make a function costs, and every run makes its own.

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
