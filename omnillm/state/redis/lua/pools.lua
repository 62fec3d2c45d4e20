-- Tell which pools there are, and which budgets (under no name), as their processes wrote them down.

return redis.call('HGETALL', KEYS[1] .. 'pools')
