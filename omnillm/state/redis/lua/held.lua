-- What is held: each process (owner) has a hash of its reservations, and a time until which it is alive. A reservation that was
-- settled stays as '+' until its owner has seen the reply, so that a replay finds it. Who is dead is settled as lost by whoever
-- comes next; what it was charged is kept for an hour, so that an owner who was only asleep is charged the difference.

local DAYS = 86400
local REAPED_AT_ONCE = 200

local function held_key(prefix, owner)
  return prefix .. 'held:' .. owner
end

local function packed(held)
  return cmsgpack.pack(held.at, held.position, held.tokens, held.ch, held.cl, held.pt, held.ph, held.pl, held.generation,
    held.seat, held.trial, held.lane, held.cooldown, held.fields)
end

local function unpacked(raw)
  local held = {}
  held.at, held.position, held.tokens, held.ch, held.cl, held.pt, held.ph, held.pl, held.generation, held.seat, held.trial,
    held.lane, held.cooldown, held.fields = cmsgpack.unpack(raw)
  return held
end

local function beat(prefix, owner, now, lease)
  redis.call('ZADD', prefix .. 'owners', string.format('%.6f', now + lease), owner)
  redis.call('EXPIRE', prefix .. 'owners', 30 * DAYS)
  redis.call('EXPIRE', held_key(prefix, owner), 30 * DAYS)
end

-- Forget the settled reservations whose owner has seen the reply (their names, with blanks between).
local function forget(prefix, owner, acks)
  if acks ~= '' then
    local names = {}
    for name in string.gmatch(acks, '%S+') do
      names[#names + 1] = name
    end
    redis.call('HDEL', held_key(prefix, owner), unpack(names))
  end
end

local function reap_one(prefix, owner, name, raw, now, window)
  local held, books = unpacked(raw), prefix .. 'books'
  local lane = read_lane(held.lane)
  local accounts = {}
  for _, field in ipairs(held.fields) do
    accounts[#accounts + 1] = {field = field, until_ = math.huge}
  end
  for _, account in ipairs(read_accounts(books, accounts, 0)) do
    account.rh, account.rl = minus(account.rh, account.rl, held.ch, held.cl)
    account.sh, account.sl = plus(account.sh, account.sl, held.ph, held.pl)
  end
  if not lane.is_new then
    expire(lane, now, window)
    settle_slot(lane, held, 1, math.min(held.tokens, held.pt))
    settle_breaker(lane, 'lost', owner .. ':' .. name, held.generation, now, 1, held.cooldown)
    write_lane(lane, now)
  end
  write_accounts(books, accounts, spending(books, held.ph, held.pl))
  local late = prefix .. 'late:' .. owner
  redis.call('HSET', late, name, struct.pack('<dd', held.ph, held.pl))
  redis.call('EXPIRE', late, 3600)
end

-- Settle what the dead hold; give whether there was anything.
local function reap(prefix, now, window)
  local owners = prefix .. 'owners'
  local dead = redis.call('ZRANGEBYSCORE', owners, '-inf', string.format('%.6f', now), 'LIMIT', 0, 4)
  local found = false
  for _, owner in ipairs(dead) do
    local key = held_key(prefix, owner)
    local some = redis.call('HSCAN', key, 0, 'COUNT', REAPED_AT_ONCE)[2]
    for i = 1, #some, 2 do
      if some[i + 1] ~= '+' then
        reap_one(prefix, owner, some[i], some[i + 1], now, window)
        found = true
      end
      redis.call('HDEL', key, some[i])
    end
    if redis.call('EXISTS', key) == 0 then
      redis.call('ZREM', owners, owner)
    end
  end
  return found
end
