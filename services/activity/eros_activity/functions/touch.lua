-- The traces of those who woke, packed as they came, as a field of the log's entry; no field where
-- nobody has one.
local function traces_of(woke, traces)
  if traces == '' then return {} end
  local known, found = {}, {}
  for position = 1, #traces, 71 do
    known[string.sub(traces, position, position + 15)] = string.sub(traces, position, position + 70)
  end
  for _, id in ipairs(woke) do found[#found + 1] = known[id] end
  return #found > 0 and { 'traces', table.concat(found) } or {}
end

-- ARGV: session_end, touches (id, at, wall)*, traces (id, traceparent)*. Returns the ids of those
-- who woke.
local function touch(keys, args)
  local people, sessions, events, state = unpack(keys)
  local sleep, session = marks(state)
  if not sleep then return redis.error_reply('NOSTATE this shard was never swept') end
  local session_end, touches = tonumber(args[1]), args[2]
  local ids, known = {}, {}
  for position = 1, #touches, 32 do
    ids[#ids + 1] = string.sub(touches, position, position + 15)
  end
  if #ids == 0 then return '' end
  -- One command for all of them: it costs as much as what it does for one.
  for i, score in ipairs(redis.call('ZMSCORE', people, unpack(ids))) do
    known[ids[i]] = tonumber(score or nil)
  end
  local woke, woken, asleep, seen = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local at, wall = struct.unpack('<dd', touches, i * 32 - 15)
    local before = known[id]
    if not before or at > before then
      known[id] = at
      seen[#seen + 1], seen[#seen + 2] = text(at), id
      if not reached(at, id, session) and not (before and at - before < session_end
          and not reached(before, id, session)) then
        redis.call('HSET', sessions, id, struct.pack('<d', at))
      end
      if reached(at, id, sleep) then
        asleep[#asleep + 1] = struct.pack('<c16d', id, at)
      elseif before and reached(before, id, sleep) then
        woke[#woke + 1] = id
        woken[#woken + 1] = struct.pack('<c16dd', id, at, wall)
      end
    end
  end
  if #seen > 0 then redis.call('ZADD', people, unpack(seen)) end
  append(events, 'asleep', asleep)
  append(events, 'woke', woken, unpack(traces_of(woke, args[3])))
  return table.concat(woke)
end
