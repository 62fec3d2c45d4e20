-- Correct what a call had reserved by what it used, once; a replay finds it done. What is not there was reaped (then the difference
-- to what was charged is spent), or lost with the server's memory (then all of it is).
-- Answers: '+' settled, '=' it was already, '?' nothing was held, '@ NOW' (another calendar).

local prefix, name, owner, kind = KEYS[1], ARGV[2], ARGV[3], ARGV[7]
local given, window, tokens, ch, cl, requests, seconds, per_model, took, threshold, cooldown, beats, lease =
  unpack_('<ddddddddddddd', ARGV[1])
local now, books, key = server_time(given), prefix .. 'books', held_key(prefix, owner)
local raw = call('HGET', key, name)
if raw == '+' then
  return '='
end
local M, accounts, spent = nil, nil, nil
if not raw or ARGV[9] ~= '' or ch > 0 or cl > 0 then
  M = money()
  accounts = M.accounts_of(ARGV[9], '', now)
  if not accounts then
    return string.format('@ %.6f', now)
  end
  M.read_accounts(books, accounts, now)
  spent = (ch > 0 or cl > 0) and M.spending(books, ch, cl) or nil
end

-- Spend what was not held any more.
local function too_late()
  local late, epoch = prefix .. 'late:' .. owner, ARGV[10]
  local known = call('HGET', late, name)
  call('HSET', key, name, '+') -- an admission that is still on its way comes too late
  call('EXPIRE', key, 30 * DAYS)
  if not known and (not spent or (epoch ~= '' and call('HGET', books, 'epoch') ~= epoch)) then
    return '?'
  end
  local kh, kl = 0, 0
  if known then
    kh, kl = unpack_('<dd', known)
  end
  for _, account in ipairs(accounts) do
    account.sh, account.sl = M.plus(account.sh, account.sl, ch, cl)
    account.sh, account.sl = M.minus(account.sh, account.sl, kh, kl)
  end
  local h, l = unpack_('<dd', spent or M.spending(books, 0, 0))
  h, l = M.minus(h, l, kh, kl)
  call('HDEL', late, name)
  M.write_accounts(books, accounts, pack('<dd', h, l))
  return '?'
end

-- Set a key aside, or its use for one model.
local function set_aside()
  local asides, label = prefix .. 'aside:' .. ARGV[4], ARGV[5]
  local field = (kind == 'set_aside' and per_model == 1) and label .. '\0' .. ARGV[6] or label
  local known = call('HGET', asides, field)
  local until_ = kind == 'retire' and huge or max(now + seconds, known and unpack_('<d', known) or 0)
  call('HSET', asides, field, pack('<d', until_))
  call('EXPIRE', asides, 30 * DAYS)
  if call('HLEN', asides) > 4096 then -- what is over goes; if nothing is, whatever comes first
    local some, first = call('HSCAN', asides, 0, 'COUNT', 512)[2], nil
    for i = 1, #some, 2 do
      if unpack_('<d', some[i + 1]) <= now then
        call('HDEL', asides, some[i])
      elseif some[i] ~= field and string.find(some[i], '\0', 1, true) then
        first = first or some[i]
      end
    end
    if first and call('HLEN', asides) > 4096 then
      call('HDEL', asides, first)
    end
  end
end

-- Take the newest latency into the moving average; the older that is, the more the newest counts.
local function measure(lane, succeeded)
  if succeeded or (lane.latency >= 0 and took > lane.latency) then
    local newest = took
    if lane.latency >= 0 then
      newest = lane.latency + max(0.2, 1 - math.exp((lane.measured - now) / 30)) * (took - lane.latency)
    end
    lane.latency, lane.measured = newest, now
  end
end

if not raw then
  return too_late()
end
local held = unpacked(raw)
local reported = ARGV[11] ~= '' and rare().believe(ARGV[11], now, window) or nil
local lane = read_lane(held.lane)
for _, account in ipairs(accounts or {}) do
  account.rh, account.rl = M.minus(account.rh, account.rl, held.ch, held.cl)
  account.sh, account.sl = M.plus(account.sh, account.sl, ch, cl)
end
local at, slot = settle_slot(lane, held, requests, tokens)
local outcome = (kind == 'success' or kind == 'failure' or kind == 'lost') and kind or 'neutral'
settle_breaker(lane, outcome, owner .. ':' .. name, held.generation, now, threshold, cooldown)
if took >= 0 then
  measure(lane, kind == 'success')
end
if kind == 'cool' then
  lane.cool = max(lane.cool, now + seconds)
elseif kind == 'retire' or kind == 'set_aside' then
  set_aside()
end
call('HSET', key, name, '+')
if M then
  M.write_accounts(books, accounts, spent)
end
for _, one in ipairs(reported or {}) do
  if one ~= lane then
    write_lane(one, now)
  end
end
write_lane(lane, now, at, slot)
if ARGV[8] ~= '' then
  forget(prefix, owner, ARGV[8])
end
if beats == 1 then
  rare().beat(prefix, owner, now, lease)
end
return '+'
