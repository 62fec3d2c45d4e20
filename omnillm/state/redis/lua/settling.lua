-- How a call's end changes its lane.

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
    name, slot = string.format('%d', held.position), pack(SLOT, held.at, requests, tokens, 1)
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
