-- What is held: each process (owner) has a hash of its reservations, and a time until which it is alive. A reservation that was
-- settled stays as '+' until its owner has seen the reply, so that a replay finds it.

local DAYS = 86400

local function held_key(prefix, owner)
  return prefix .. 'held:' .. owner
end

local HELD = '<dddddddddddds'

-- Read a reservation: its numbers, the lane, and the accounts, each name with a NUL behind it.
local function unpacked(raw)
  local at, position, tokens, ch, cl, pt, ph, pl, generation, seat, trial, cooldown, lane, rest = unpack_(HELD, raw)
  return {at = at, position = position, tokens = tokens, ch = ch, cl = cl, pt = pt, ph = ph, pl = pl, generation = generation,
    seat = seat, trial = trial, cooldown = cooldown, lane = lane, fields = rest <= #raw and string.sub(raw, rest) or ''}
end

-- Forget the settled reservations whose owner has seen the reply (their names, with blanks between).
local function forget(prefix, owner, acks)
  if acks ~= '' then
    local names = {}
    for name in string.gmatch(acks, '%S+') do
      names[#names + 1] = name
    end
    call('HDEL', held_key(prefix, owner), unpack(names))
  end
end
