#!lua name=@LIBRARY@

-- People of one shard and what happens to them. Every function is one atomic step on the keys of
-- one shard: 1 people (sorted set: id by last-seen), 2 sessions (hash: id -> start),
-- 3 events (stream), 4 state (hash). domain/ledger.py says the same in Python.
--
-- Ids are 16 bytes. Instants are night seconds but where a name says wall. Many records travel as
-- one string of fixed size parts, little-endian: parsing that costs nobody anything.

-- Libraries like `string` are not there yet while this text is loaded.
local LAST_ID = '\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255'
-- An entry of the log holds so many people at most, and a shard's log so many entries.
local PEOPLE_PER_ENTRY, ENTRIES = 256, 10000

local function text(number)
  return string.format('%.17g', number)
end

-- This server's wall clock: one for all replicas.
local function server_seconds()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end

-- Not a < b: that compares by the server's locale.
local function id_precedes(a, b)
  for i = 1, 16 do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return false
end

-- Places are (instant, id). Whether a place is at or before a mark.
local function reached(instant, id, mark)
  if instant ~= mark.at then return instant < mark.at end
  return not id_precedes(mark.id, id)
end

local function set_mark(state, name, mark)
  redis.call('HSET', state, name .. '_at', text(mark.at), name .. '_id', mark.id)
end

local function marks(state)
  local found = redis.call('HMGET', state, 'sleep_at', 'sleep_id', 'session_at', 'session_id')
  if not found[1] then return nil end
  return { at = tonumber(found[1]), id = found[2] }, { at = tonumber(found[3]), id = found[4] }
end

-- How many people stand at or before a place.
local function rank_behind(people, place)
  local rank = place.id ~= LAST_ID and redis.call('ZRANK', people, place.id)
  if rank and tonumber(redis.call('ZSCORE', people, place.id)) == place.at then return rank + 1 end
  local high = redis.call('ZCOUNT', people, '-inf', text(place.at))
  if place.id == LAST_ID then return high end
  -- Nobody stands there any more: halve among those seen at the same instant.
  local low = redis.call('ZCOUNT', people, '-inf', '(' .. text(place.at))
  while low < high do
    local middle = math.floor((low + high) / 2)
    local id = redis.call('ZRANGE', people, middle, middle)[1]
    if id_precedes(place.id, id) then high = middle else low = middle + 1 end
  end
  return low
end

local function append(events, field, records, ...)
  for first = 1, #records, PEOPLE_PER_ENTRY do
    local last = math.min(first + PEOPLE_PER_ENTRY - 1, #records)
    redis.call('XADD', events, 'MAXLEN', '~', ENTRIES, '*', field,
      table.concat(records, '', first, last), ...)
  end
end

-- Moves a mark over up to `page` people who stand before the horizon. Returns them as a list
-- id, instant, id, instant …, and whether there may be more.
local function cross(people, state, name, mark, horizon, page)
  local start = rank_behind(people, mark)
  local found = redis.call('ZRANGE', people, start, start + page - 1, 'WITHSCORES')
  local passed = #found
  while passed > 0 and tonumber(found[passed]) > horizon do
    found[passed], found[passed - 1] = nil, nil
    passed = passed - 2
  end
  if passed == 2 * page then
    set_mark(state, name, { at = tonumber(found[passed]), id = found[passed - 1] })
    return found, true
  end
  if horizon > mark.at or (horizon == mark.at and mark.id ~= LAST_ID) then
    set_mark(state, name, { at = horizon, id = LAST_ID })
  end
  return found, false
end

-- The ids of a list id, instant, id, instant …, at most a page of them: one command for all of them
-- costs little more than what it does for one.
local function ids_of(found)
  local ids = {}
  for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
  return ids
end
