-- Money: pairs of whole dollars and pico-dollars below 10^12, each exact in a double; one double would be so to 9007 dollars only.
-- An account is spent and reserved, a pair each, and when its day or month ends. It is known by scope, window, time zone and whose
-- it is: where two processes have different limits, they share what was spent, and each goes by its own limit.

local function money()
  local DOLLAR = 1000000000000
  local ACCOUNT = '<ddddd'

  local function plus(ah, al, bh, bl)
    local l = al + bl
    if l >= DOLLAR then
      return ah + bh + 1, l - DOLLAR
    end
    return ah + bh, l
  end

  local function minus(ah, al, bh, bl) -- never below zero
    local h, l = ah - bh, al - bl
    if l < 0 then
      h, l = h - 1, l + DOLLAR
    end
    if h < 0 then
      return 0, 0
    end
    return h, l
  end

  -- Give the accounts named in a blob, or nothing where the calendar that came with them is not that of the server's clock.
  local function accounts_of(blob, suffix, now)
    local found, at = {}, 1
    while at <= #blob do
      local lh, ll, begins, ends, next_ends, length
      lh, ll, begins, ends, next_ends, length, at = unpack_('<dddddI2', blob, at)
      if now < begins or now >= next_ends and ends < huge then
        return nil
      end
      local field = string.sub(blob, at, at + length - 1) .. suffix
      at = at + length
      found[#found + 1] = {field = field, lh = lh, ll = ll, until_ = now < ends and ends or next_ends}
    end
    return found
  end

  -- Read the accounts, each in the day or month of now.
  local function read_accounts(books, accounts, now)
    if #accounts == 0 then
      return accounts
    end
    local fields = {}
    for i, account in ipairs(accounts) do
      fields[i] = account.field
    end
    local raws = call('HMGET', books, unpack(fields))
    for i, account in ipairs(accounts) do
      local sh, sl, rh, rl, resets = 0, 0, 0, 0, account.until_
      if raws[i] then
        sh, sl, rh, rl, resets = unpack_(ACCOUNT, raws[i])
        if now >= resets then
          sh, sl, resets = 0, 0, account.until_
        end
      end
      account.sh, account.sl, account.rh, account.rl, account.resets = sh, sl, rh, rl, resets
    end
    return accounts
  end

  local function write_accounts(books, accounts, spent)
    local fields = {}
    for _, a in ipairs(accounts) do
      fields[#fields + 1] = a.field
      fields[#fields + 1] = pack(ACCOUNT, a.sh, a.sl, a.rh, a.rl, a.resets)
    end
    if spent then
      fields[#fields + 1] = 'spent'
      fields[#fields + 1] = spent
    end
    if #fields > 0 then
      call('HSET', books, unpack(fields))
    end
  end

  local function allows(account, ch, cl)
    if ch == 0 and cl == 0 then
      return true
    end
    local h, l = plus(account.sh, account.sl, account.rh, account.rl)
    h, l = plus(h, l, ch, cl)
    return h < account.lh or (h == account.lh and l <= account.ll)
  end

  -- Add to all that was ever spent, and give it as it is kept.
  local function spending(books, ch, cl)
    local raw = call('HGET', books, 'spent')
    local h, l = 0, 0
    if raw then
      h, l = unpack_('<dd', raw)
    end
    h, l = plus(h, l, ch, cl)
    return pack('<dd', h, l)
  end

  return {plus = plus, minus = minus, accounts_of = accounts_of, read_accounts = read_accounts, write_accounts = write_accounts, allows = allows, spending = spending, ACCOUNT = ACCOUNT, DOLLAR = DOLLAR}
end
