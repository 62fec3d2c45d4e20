-- Enter a pool's configuration and open the books; answers what another process had entered, and the epoch of the books.

local prefix = KEYS[1]
local pools, books = prefix .. 'pools', prefix .. 'books'
local name, config, epoch = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('HGET', pools, name) or ''
local opened = ''
if epoch ~= '' then
  redis.call('HSETNX', books, 'epoch', epoch)
  opened = redis.call('HGET', books, 'epoch')
end
redis.call('HSET', pools, name, config)
redis.call('EXPIRE', pools, 30 * 86400)
return {known, opened}
