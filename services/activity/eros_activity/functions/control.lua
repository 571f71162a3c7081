-- KEYS: the stream of pauses. ARGV: until (wall), reason, for how many seconds a pause lasts at the
-- most: who asks for a longer one has a clock that is ahead. Returns 1 unless a pause as long is there.
local function pause(keys, args)
  local latest = server_seconds() + tonumber(args[3])
  local till = tonumber(args[1]) > latest and text(latest) or args[1]
  local last = redis.call('XREVRANGE', keys[1], '+', '-', 'COUNT', 1)[1]
  if last and tonumber(last[2][2]) >= tonumber(till) then return 0 end
  redis.call('XADD', keys[1], 'MAXLEN', '~', 100, '*', 'until', till, 'reason', args[2])
  return 1
end

-- KEYS: the register of sources (hash: source -> settled number, when it was read last).
-- ARGV: source, settled number, source, settled number …: all read just now.
local function save_sources(keys, args)
  local now = server_seconds()
  for i = 1, #args, 2 do
    local settled, record = tonumber(args[i + 1]), redis.call('HGET', keys[1], args[i])
    -- While a source moves from one replica to another, both may read it.
    if record then settled = math.max(settled, (struct.unpack('<I8d', record))) end
    redis.call('HSET', keys[1], args[i], struct.pack('<I8d', settled, now))
  end
end

-- KEYS: the same. ARGV: seconds. Returns those that nobody read for so long: source, settled number,
-- seconds, source …
local function abandoned(keys, args)
  local all, found, now = redis.call('HGETALL', keys[1]), {}, server_seconds()
  for i = 1, #all, 2 do
    local settled, read = struct.unpack('<I8d', all[i + 1])
    if now - read >= tonumber(args[1]) then
      found[#found + 1], found[#found + 2], found[#found + 3] = all[i], settled, text(now - read)
    end
  end
  return found
end

-- KEYS: the same. ARGV: seconds, source, source … Removes those that nobody has read since, either.
local function forget_abandoned(keys, args)
  local now = server_seconds()
  for i = 2, #args do
    local record = redis.call('HGET', keys[1], args[i])
    if record then
      local _, read = struct.unpack('<I8d', record)
      if now - read >= tonumber(args[1]) then redis.call('HDEL', keys[1], args[i]) end
    end
  end
end
