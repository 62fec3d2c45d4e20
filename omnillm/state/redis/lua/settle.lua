-- Correct what a call had reserved by what it used, once; a replay finds it done. What is not there was reaped (then the difference
-- to what was charged is spent), or lost with the server's memory (then all of it is).
-- Answers: '+' settled, '=' it was already, '?' nothing was held, '@ NOW' (another calendar).

local prefix = KEYS[1]
local given, window, tokens, ch, cl, requests, seconds, per_model, took, threshold, cooldown, beats, lease =
  struct.unpack('<ddddddddddddd', ARGV[1])
local name, owner, pool, label, model, kind, epoch = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[10]
local now, books, asides, key = server_time(given), prefix .. 'books', prefix .. 'aside:' .. pool, held_key(prefix, owner)
local raw = redis.call('HGET', key, name)
if raw == '+' then
  return '='
end
local accounts = accounts_of(ARGV[9], '', now)
if not accounts then
  return string.format('@ %.6f', now)
end
read_accounts(books, accounts, now)
local spent = (ch > 0 or cl > 0) and spending(books, ch, cl) or nil

if not raw then
  local late = prefix .. 'late:' .. owner
  local known = redis.call('HGET', late, name)
  if not known and (not spent or (epoch ~= '' and redis.call('HGET', books, 'epoch') ~= epoch)) then
    redis.call('HSET', key, name, '+') -- an admission that is still on its way comes too late
    redis.call('EXPIRE', key, 30 * DAYS)
    return '?'
  end
  local kh, kl = 0, 0
  if known then
    kh, kl = struct.unpack('<dd', known)
  end
  for _, account in ipairs(accounts) do
    account.sh, account.sl = plus(account.sh, account.sl, ch, cl)
    account.sh, account.sl = minus(account.sh, account.sl, kh, kl)
  end
  local h, l = struct.unpack('<dd', spent or spending(books, 0, 0))
  h, l = minus(h, l, kh, kl)
  redis.call('HSET', key, name, '+')
  redis.call('EXPIRE', key, 30 * DAYS)
  redis.call('HDEL', late, name)
  write_accounts(books, accounts, struct.pack('<dd', h, l))
  return '?'
end

local held = unpacked(raw)
local reported = believe(ARGV[11], now, window)
local lane = read_lane(held.lane)
expire(lane, now, window)
for _, account in ipairs(accounts) do
  account.rh, account.rl = minus(account.rh, account.rl, held.ch, held.cl)
  account.sh, account.sl = plus(account.sh, account.sl, ch, cl)
end
settle_slot(lane, held, requests, tokens)
local outcome = (kind == 'success' or kind == 'failure' or kind == 'lost') and kind or 'neutral'
settle_breaker(lane, outcome, owner .. ':' .. name, held.generation, now, threshold, cooldown)
measure(lane, took, kind == 'success', now)
if kind == 'cool' then
  lane.cool = math.max(lane.cool, now + seconds)
elseif kind == 'retire' or kind == 'set_aside' then
  local field = (kind == 'set_aside' and per_model == 1) and label .. '\0' .. model or label
  local known = redis.call('HGET', asides, field)
  local until_ = kind == 'retire' and math.huge or math.max(now + seconds, known and struct.unpack('<d', known) or 0)
  redis.call('HSET', asides, field, struct.pack('<d', until_))
  redis.call('EXPIRE', asides, 30 * DAYS)
  if redis.call('HLEN', asides) > 4096 then -- what is over goes; if nothing is, whatever comes first
    local some = redis.call('HSCAN', asides, 0, 'COUNT', 512)[2]
    local first
    for i = 1, #some, 2 do
      if struct.unpack('<d', some[i + 1]) <= now then
        redis.call('HDEL', asides, some[i])
      elseif some[i] ~= field and string.find(some[i], '\0', 1, true) then
        first = first or some[i]
      end
    end
    if first and redis.call('HLEN', asides) > 4096 then
      redis.call('HDEL', asides, first)
    end
  end
end
redis.call('HSET', key, name, '+')
write_accounts(books, accounts, spent)
for _, one in ipairs(reported) do
  if one ~= lane then
    write_lane(one, now)
  end
end
write_lane(lane, now)
forget(prefix, owner, ARGV[8])
if beats == 1 then
  beat(prefix, owner, now, lease)
end
return '+'
