-- Enter a pool's configuration and open the books; answers what another process had entered, and the epoch of the books.

local prefix, call = KEYS[1], redis.call
local pools, books = prefix .. 'pools', prefix .. 'books'
local name, config, epoch = ARGV[1], ARGV[2], ARGV[3]
local known = call('HGET', pools, name) or ''
local opened = ''
if epoch ~= '' then
  call('HSETNX', books, 'epoch', epoch)
  opened = call('HGET', books, 'epoch')
end
call('HSET', pools, name, config)
if ARGV[4] ~= '' then
  call('HSET', pools, '', ARGV[4])
end
call('EXPIRE', pools, 30 * 86400)
return {known, opened}
