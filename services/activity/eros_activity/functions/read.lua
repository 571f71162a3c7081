-- ARGV: instants. Returns how many are known, and how many were last seen up to each instant.
local function counts(keys, args)
  local found = { redis.call('ZCARD', keys[1]) }
  for i, instant in ipairs(args) do
    found[i + 1] = redis.call('ZCOUNT', keys[1], '-inf', instant)
  end
  return found
end

-- ARGV: id. Returns last-seen and the packed start of the session.
local function find(keys, args)
  return { redis.call('ZSCORE', keys[1], args[1]), redis.call('HGET', keys[2], args[1]) }
end

local function packed(found)
  local records = {}
  for i = 1, #found, 2 do
    records[#records + 1] = struct.pack('<c16d', found[i], tonumber(found[i + 1]))
  end
  return table.concat(records)
end

-- ARGV: page, and a place (instant, id) to begin behind. Returns (id, last-seen)* of sleepers.
local function sleepers(keys, args)
  local sleep = marks(keys[4])
  if not sleep then return '' end
  local start = rank_behind(keys[1], { at = tonumber(args[2]), id = args[3] })
  local stop = math.min(rank_behind(keys[1], sleep), start + tonumber(args[1]))
  if stop <= start then return '' end
  return packed(redis.call('ZRANGE', keys[1], start, stop - 1, 'WITHSCORES'))
end

-- ARGV: how many. Returns (id, last-seen)*, newest first.
local function recent(keys, args)
  return packed(redis.call('ZREVRANGE', keys[1], 0, tonumber(args[1]) - 1, 'WITHSCORES'))
end
