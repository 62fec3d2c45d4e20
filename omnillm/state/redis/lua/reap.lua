-- Settle what the dead hold, as lost; give whether there was anything. What was charged is kept for an hour, so that an owner who
-- was only asleep is charged the difference.

local function reap(prefix, own, now, window)
  local books, owners = prefix .. 'books', prefix .. 'owners'

  local function reap_one(owner, name, raw)
    local held = unpacked(raw)
    local lane, accounts = read_lane(held.lane), {}
    for field in string.gmatch(held.fields, '[^%z]+') do
      accounts[#accounts + 1] = {field = field, until_ = huge}
    end
    for _, account in ipairs(read_accounts(books, accounts, 0)) do
      account.rh, account.rl = minus(account.rh, account.rl, held.ch, held.cl)
      account.sh, account.sl = plus(account.sh, account.sl, held.ph, held.pl)
    end
    if not lane.is_new then
      local at, slot = settle_slot(lane, held, 1, min(held.tokens, held.pt))
      settle_breaker(lane, 'lost', owner .. ':' .. name, held.generation, now, 1, held.cooldown)
      write_lane(lane, now, at, slot)
    end
    write_accounts(books, accounts, spending(books, held.ph, held.pl))
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
