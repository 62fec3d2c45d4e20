-- When a key takes a request again, and what keeps the log short: what only some admissions need is made only for them.

local function openings()
  -- Give the earliest time at which a request fits the window, if calls in flight leave with their minute.
  local function window_opening(lane, tokens, now, window)
    if tokens > lane.tpm then
      return huge
    end
    local at, requests, taken = now, lane.req, lane.tok
    local overdue = (lane.oreq > 0 or lane.otok > 0) and now + OVERDUE or huge
    local position, names, slots, i, most = lane.head, {}, {}, 0, 8
    while requests >= lane.rpm or taken + tokens > lane.tpm do
      local leaves, fewer_requests, fewer_tokens = huge, 0, 0
      while leaves == huge do
        if i == #names then
          if position >= lane.tail then
            break
          end
          names, slots = slots_from(lane, position, most)
          i, most = 0, 128
        end
        i, position = i + 1, position + 1
        if slots[i] then
          local let_in_at
          let_in_at, fewer_requests, fewer_tokens = unpack_(SLOT, slots[i])
          leaves = let_in_at + window + LEAST
        end
      end
      if overdue < leaves then
        at, requests, taken, overdue = overdue, requests - lane.oreq, taken - lane.otok, huge
        if leaves < huge then
          i, position = i - 1, position - 1
        end
      elseif leaves == huge then
        break
      else
        at, requests, taken = leaves, requests - fewer_requests, taken - fewer_tokens
      end
    end
    if now < lane.runtil and lane.rleft <= lane.nreq then
      at = max(at, lane.runtil)
    end
    if now < lane.tuntil and lane.tleft - lane.ntok < tokens then
      at = max(at, lane.tuntil)
    end
    return at
  end

  -- Give until when the key takes nothing at all, windows apart, and why.
  local function blocked(lane, now)
    local aside = max(lane.aside, lane.pair)
    local cooling = max(aside, lane.cool)
    local resting = 0
    if lane.open >= 0 then
      resting = (now >= lane.open and lane.trial ~= '') and now + OVERDUE or lane.open
    end
    if resting > cooling then
      return resting, 'breaker'
    end
    return cooling, aside == huge and 'dead' or 'cooling'
  end

  -- Give the earliest time at which the request may take the key, and what holds it; no search where that is too late.
  local function opening(lane, tokens, now, window, best)
    local until_, reason = blocked(lane, now)
    if until_ >= best then
      return until_, reason
    end
    local at = window_opening(lane, tokens, now, window)
    if until_ > now and until_ >= at then
      return until_, reason
    end
    return at, at == huge and 'too_large' or 'window'
  end

  return opening, blocked
end

-- Merge the slots of one lot that settled, each into the first of its quarter of a second: they leave with the last of them.
local function merge(lane)
  local start = max(lane.merged, lane.head)
  local names, slots = slots_from(lane, start, MERGED)
  lane.merged, lane.slots, lane.gone = start + MERGED, lane.slots or {}, lane.gone or {}
  local kept, grain, at, requests, tokens, changed
  local function keep()
    if changed then
      lane.slots[#lane.slots + 1] = kept
      lane.slots[#lane.slots + 1] = pack(SLOT, at, requests, tokens, 1)
      if kept == place(lane.head) then
        lane.head_at = at
      end
    end
    kept, changed = nil, false
  end
  for i, name in ipairs(names) do
    if slots[i] then
      local let_in_at, asked, took, settled = unpack_(SLOT, slots[i])
      if kept and settled == 1 and math.floor(let_in_at * 4) == grain then
        at, requests, tokens, changed = let_in_at, requests + asked, tokens + took, true
        lane.gone[#lane.gone + 1] = name
      else
        keep()
        if settled == 1 then
          kept, grain, at, requests, tokens = name, math.floor(let_in_at * 4), let_in_at, asked, took
        end
      end
    end
  end
  keep()
end
