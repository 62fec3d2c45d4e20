-- What only some calls need: made by the first of them that does.

local function rare()
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

  local function beat(prefix, owner, now, lease)
    call('ZADD', prefix .. 'owners', string.format('%.6f', now + lease), owner)
    call('EXPIRE', prefix .. 'owners', 30 * DAYS)
    call('EXPIRE', held_key(prefix, owner), 30 * DAYS)
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

  -- Settle what the dead hold, as lost; give whether there was anything. What was charged is kept for an hour, so that an owner who
  -- was only asleep is charged the difference.

  local function reap(prefix, own, now, window)
    local M, books, owners = money(), prefix .. 'books', prefix .. 'owners'

    local function reap_one(owner, name, raw)
      local held = unpacked(raw)
      local lane, accounts = read_lane(held.lane), {}
      for field in string.gmatch(held.fields, '[^%z]+') do
        accounts[#accounts + 1] = {field = field, until_ = huge}
      end
      for _, account in ipairs(M.read_accounts(books, accounts, 0)) do
        account.rh, account.rl = M.minus(account.rh, account.rl, held.ch, held.cl)
        account.sh, account.sl = M.plus(account.sh, account.sl, held.ph, held.pl)
      end
      if not lane.is_new then
        local at, slot = settle_slot(lane, held, 1, min(held.tokens, held.pt))
        settle_breaker(lane, 'lost', owner .. ':' .. name, held.generation, now, 1, held.cooldown)
        write_lane(lane, now, at, slot)
      end
      M.write_accounts(books, accounts, M.spending(books, held.ph, held.pl))
      call('HSET', prefix .. 'late:' .. owner, name, pack('<dd', held.ph, held.pl))
      call('EXPIRE', prefix .. 'late:' .. owner, 3600)
    end

    local found = false
    for _, owner in ipairs(call('ZRANGEBYSCORE', owners, '-inf', string.format('%.6f', now), 'LIMIT', 0, 4)) do
      local key = held_key(prefix, owner)
      local some = owner == own and {} or call('HSCAN', key, 0, 'COUNT', 200)[2]
      for i = 1, #some, 2 do
        if some[i + 1] ~= '+' then
          reap_one(owner, some[i], some[i + 1])
          found = true
        end
        call('HDEL', key, some[i])
      end
      if owner ~= own and call('EXISTS', key) == 0 then
        call('ZREM', owners, owner)
      end
    end
    return found
  end

  return {expire = expire, believe = believe, beat = beat, merge = merge, opening = opening, blocked = blocked, reap = reap}
end
