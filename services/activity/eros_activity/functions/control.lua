-- KEYS: the stream of pauses. ARGV: until (wall), reason. Returns 1 unless a pause as long is there.
local function pause(keys, args)
  local last = redis.call('XREVRANGE', keys[1], '+', '-', 'COUNT', 1)[1]
  if last and tonumber(last[2][2]) >= tonumber(args[1]) then return 0 end
  redis.call('XADD', keys[1], 'MAXLEN', '~', 100, '*', 'until', args[1], 'reason', args[2])
  return 1
end

-- KEYS: the register of sources (hash: source -> settled number, read wall). ARGV: wall.
-- Removes those that nobody read since, and returns them: source, record, source, record …
local function take_abandoned(keys, args)
  local all, taken = redis.call('HGETALL', keys[1]), {}
  for i = 1, #all, 2 do
    local _, read_wall = struct.unpack('<I8d', all[i + 1])
    if read_wall < tonumber(args[1]) then
      redis.call('HDEL', keys[1], all[i])
      taken[#taken + 1], taken[#taken + 2] = all[i], all[i + 1]
    end
  end
  return taken
end
