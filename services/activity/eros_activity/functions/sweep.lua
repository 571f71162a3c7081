-- The first sweep of a shard, or of a run of this server, or after the night clock was set back,
-- begins an epoch: cursors from before are no longer good. Returns what happened (`Continuity`),
-- and whether rewinding needs another call.
local function begin(keys, now, latest, sleep_horizon, session_horizon, page, epoch, layout)
  local people, _, events, state = unpack(keys)
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local known = redis.call('HMGET', state, 'run', 'sleep_at', 'layout')
  local continuity = 0
  if not known[1] then
    redis.call('HSET', state, 'layout', layout, 'since', text(now))
    continuity = 3
  elseif known[1] ~= run then
    continuity = 2
  elseif tonumber(known[2]) > latest then
    local future = redis.call('ZRANGEBYSCORE', people, '(' .. text(now), '+inf', 'LIMIT', 0, page)
    for _, id in ipairs(future) do redis.call('ZADD', people, text(now), id) end
    if #future == page then return 1, true end
    continuity = 1
  end
  if continuity > 0 then
    redis.call('HSET', state, 'run', run, 'epoch', epoch)
    redis.call('XADD', events, '*', 'epoch', epoch)
  end
  if continuity % 2 == 1 then
    set_mark(state, 'sleep', { at = sleep_horizon, id = LAST_ID })
    set_mark(state, 'session', { at = session_horizon, id = LAST_ID })
  end
  return continuity, false
end

-- Drops entries older than `kept` wall milliseconds, never the last one: from the first entry that
-- is there a reader sees whether it missed any.
local function trim(events, kept)
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  if not last then return end
  local horizon = math.floor(server_seconds() * 1000) - kept
  local last_ms = tonumber(string.match(last[1], '^%d+'))
  redis.call('XTRIM', events, 'MINID', '~', last_ms < horizon and last[1] or text(horizon))
end

-- ARGV: now, the latest mark to believe, sleep horizon, session horizon, page, epoch to begin, layout,
-- milliseconds kept, the caller's wall clock and by how much it may differ from this server's. One
-- that is ahead for a moment would put the mark where nobody who is awake gets behind it for as long.
-- Returns continuity, epoch, since, seconds since the sweep before (-1 if there was none), how many
-- fell asleep, 1 if more do.
local function sweep(keys, args)
  local people, sessions, events, state = unpack(keys)
  local now, latest = tonumber(args[1]), tonumber(args[2])
  local sleep_horizon, session_horizon = tonumber(args[3]), tonumber(args[4])
  local page, epoch, layout = tonumber(args[5]), args[6], args[7]
  local before = redis.call('HMGET', state, 'layout', 'swept')
  if before[1] and before[1] ~= layout then
    return redis.error_reply('LAYOUT this is shard ' .. before[1] .. ', not ' .. layout)
  end
  local ahead = tonumber(args[9]) - server_seconds()
  if math.abs(ahead) > tonumber(args[10]) then
    return redis.error_reply(string.format('CLOCK this replica is %.0f s ahead of the store', ahead))
  end
  local continuity, rewinding =
    begin(keys, now, latest, sleep_horizon, session_horizon, page, epoch, layout)
  local asleep, more, more_sessions = {}, rewinding, false
  if not rewinding then
    local sleep, session = marks(state)
    local ended, crossed
    ended, more_sessions = cross(people, state, 'session', session, session_horizon, page)
    if #ended > 0 then redis.call('HDEL', sessions, unpack(ids_of(ended))) end
    crossed, more = cross(people, state, 'sleep', sleep, sleep_horizon, page)
    for i = 1, #crossed, 2 do
      asleep[#asleep + 1] = struct.pack('<c16d', crossed[i], tonumber(crossed[i + 1]))
    end
    append(events, 'asleep', asleep)
    trim(events, tonumber(args[8]))
  end
  local swept = server_seconds()
  redis.call('HSET', state, 'swept', text(swept))
  local kept = redis.call('HMGET', state, 'epoch', 'since')
  return { continuity, kept[1], kept[2], before[2] and text(swept - before[2]) or '-1', #asleep,
    (more or more_sessions) and 1 or 0 }
end

-- ARGV: ids, one after the other; now. Removes these people, and says so of each, known or not: who
-- deletes an account twice is heard twice. Returns how many were known.
local function erase(keys, args)
  local people, sessions, events = unpack(keys)
  local records, known = {}, 0
  for position = 1, #args[1], 16 do
    local id = string.sub(args[1], position, position + 15)
    known = known + redis.call('ZREM', people, id)
    redis.call('HDEL', sessions, id)
    records[#records + 1] = struct.pack('<c16d', id, tonumber(args[2]))
  end
  append(events, 'forgotten', records)
  return known
end

-- ARGV: the instant up to which people are forgotten, page. Returns how many were.
local function forget(keys, args)
  local people, sessions, events = unpack(keys)
  local found = redis.call('ZRANGEBYSCORE', people, '-inf', args[1], 'WITHSCORES', 'LIMIT', 0, args[2])
  local ids, records = ids_of(found), {}
  for i, id in ipairs(ids) do records[i] = struct.pack('<c16d', id, tonumber(found[2 * i])) end
  if #ids > 0 then
    redis.call('ZREM', people, unpack(ids))
    redis.call('HDEL', sessions, unpack(ids))
  end
  append(events, 'forgotten', records)
  return #records
end
