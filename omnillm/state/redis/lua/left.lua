-- Tell how much of the tightest account is left (a fraction); of the keys' accounts that of the living key with the most left.
-- Answers: '= FRACTION', '@ NOW' (another calendar).

local prefix, pool, labels = KEYS[1], ARGV[2], ARGV[5]
local now = server_time(unpack_('<d', ARGV[1]))
local books, asides = prefix .. 'books', prefix .. 'aside:' .. pool
local M = money()
local shared = M.accounts_of(ARGV[3], '', now)
if not shared or not M.accounts_of(ARGV[4], '', now) then
  return string.format('@ %.6f', now)
end

local function least(accounts)
  local left_ = 1
  for _, a in ipairs(M.read_accounts(books, accounts, now)) do
    local free = (a.lh - a.sh - a.rh) + (a.ll - a.sl - a.rl) / M.DOLLAR
    left_ = min(left_, free > 0 and free / (a.lh + a.ll / M.DOLLAR) or 0)
  end
  return left_
end

local tightest, best = least(shared), nil
if ARGV[4] ~= '' then
  for label in string.gmatch(labels, '[^%z]+') do
    local raw = call('HGET', asides, label)
    if not raw or unpack_('<d', raw) < huge then
      best = max(best or 0, least(M.accounts_of(ARGV[4], pool .. '\31' .. label, now)))
    end
  end
end
return string.format('= %.17g', min(tightest, best or 1))
