-- Signs of life that wait a moment, and go to the activity service together.
--
-- An entry of the access-log stream costs more than the whole rest of a heartbeat. So a sign of life
-- is held for HOLD_MS where that pays and changes nothing anybody does: it is of a person whom this
-- thread has sent a sign of a short while ago (RECENT_MS at least, 2 * RECENT_MS at most), who is
-- awake then and stays so. Whoever may be waking goes by the stream at once.
--
-- What is held has no numbers. It is sent by a request that waits for the answer: "it is in the
-- store". Without that answer the next request sends it again; what activity does not take for
-- GIVE_UP_MS is lost, and a number of the stream that nobody ever gets says so (stamp.lua). That is a
-- pause for everybody, so no client can make one: who hangs up while sending counts for no fault. A
-- gateway that dies with some in hand ends its stream.
--
-- A script has no timer, and a thread without requests runs no script. Whoever holds the first one
-- therefore waits for the listener "clock", which answers late. If that client hangs up meanwhile,
-- the next heartbeat or read sends. Reads leave what they hold to those that end after them; the last
-- one waits for a moment in which others may begin.
local HOLD_MS, LATE_MS, ANSWER_MS, GIVE_UP_MS = 30, 45, 250, 600
-- Longer than a read of what is cached takes.
local READ_MS = 300
-- If all that was wrong is that whoever sent it was hung up on: so long, whoever is awake stays so.
local NEVER_ANSWERED_MS = math.max(GIVE_UP_MS, RECENT_MS)
-- It pays from so many signs in a window on.
local WINDOW_MS = 100
local BUSY = GATHERED_PER_SECOND > 0 and GATHERED_PER_SECOND * WINDOW_MS / 1000 or math.huge
-- The stream is used so often at least: activity sees by it that this gateway is there.
local STREAM_MS = 500
-- For so long after a fault nothing more is held.
local DOUBT_MS = 1000
local LENGTH_OF_ID = 36
-- So many are held at most: what is on its way and what is held meanwhile are one message where the
-- first did not come, and activity takes a megabyte, which is 12,000 of them.
local MOST_HELD = 5000
local function clock(ms)
  return {
    [":method"] = "GET",
    [":path"] = "/",
    [":authority"] = "clock",
    ["x-envoy-fault-delay-request"] = tostring(ms),
  }
end
local HELD, MOMENT = clock(HOLD_MS), clock(5)
local SIGNS = {
  [":method"] = "POST",
  [":path"] = "/eros.activity.v1.EdgeService/TakeSigns",
  [":authority"] = "activity",
  ["content-type"] = "application/grpc",
  ["te"] = "trailers",
}

-- Who gave a sign of life in this span of RECENT_MS, and in the one before.
local recent, before, turned_at = {}, {}, 0
local busy, count, window_at = false, 0, 0
local streamed_at, doubted_at = 0, 0
-- Numbers of the stream to be left out.
local lost = 0
-- What is held, and what is on its way; each since when.
local held, held_at = {}, 0
local flying, flown_at, flying_since = nil, 0, 0
-- Whether somebody waits for the clock in order to send it.
local awaited = false
-- Whether it came back.
local refused = false
-- Whether somebody would have sent more while others were on their way.
local behind = false
-- How many reads came, when those began that may be on their way, and since when that is so.
local reads, under_way, looked_at = 0, {}, 0

-- A clock that was set back makes what was long ago, not what lasts for ever.
local function since(now, instant)
  return math.abs(now - instant)
end

local function remember(user, now)
  if since(now, turned_at) >= RECENT_MS then
    before = since(now, turned_at) < 2 * RECENT_MS and recent or {}
    recent, turned_at = {}, now
  end
  recent[user] = true
end

-- A sign of life goes by the stream.
local function streams(user, now)
  remember(user, now)
  streamed_at = now
end

-- Whether a sign of life may wait.
local function may_wait(user, now)
  if since(now, window_at) >= WINDOW_MS then
    busy = count >= BUSY and since(now, window_at) < 2 * WINDOW_MS
    count, window_at = 0, now
  end
  count = count + 1
  return busy and (recent[user] or (before[user] and since(now, turned_at) < RECENT_MS))
    and since(now, streamed_at) < STREAM_MS and since(now, doubted_at) >= DOUBT_MS
    and #user == LENGTH_OF_ID and #held < MOST_HELD
end

-- Number `value` as a varint.
local function varint(value)
  local bytes = ""
  while value >= 128 do
    bytes, value = bytes .. string.char(value % 128 + 128), math.floor(value / 128)
  end
  return bytes .. string.char(value)
end

-- A TakeSignsRequest behind its gRPC prefix.
local function signs_message(signs)
  local text = table.concat(signs, "\n")
  local size = varint(#text)
  local length = 1 + #size + #text
  local prefix = string.char(0, math.floor(length / 16777216), math.floor(length / 65536) % 256,
    math.floor(length / 256) % 256, length % 256)
  return prefix .. "\10" .. size .. text
end

-- What was sent may not have come: it is held again, in front, but for what is older than `give_up`.
local function hold_again(now, give_up)
  for _, sign in ipairs(held) do flying[#flying + 1] = sign end
  held, held_at, flying = flying, flying_since, nil
  doubted_at, refused = now, true
  if since(now, held_at) >= give_up then
    held, lost = {}, lost + 1
  end
end

-- Whether what is held may be left to somebody else: who waits for the clock, or, for a while, a read
-- that is still on its way. Of a client that hangs up a script is not told, so a read is taken to be
-- on its way for READ_MS at most.
local function others_will(now)
  if awaited then return true end
  if since(now, held_at) >= HOLD_MS then return false end
  for _, begun in pairs(under_way) do
    if since(now, begun) < READ_MS then return true end
  end
  return false
end

-- Sends what is held, unless that is being done.
local function send_held(handle, now)
  awaited = false
  if flying then
    if since(now, flown_at) < ANSWER_MS + LATE_MS then
      behind = true
      return
    end
    -- Whoever sent that was hung up on.
    hold_again(now, NEVER_ANSWERED_MS)
  end
  if #held == 0 then return end
  local mine = held
  flying, flown_at, flying_since, held, refused, behind = held, now, held_at, {}, false, false
  local headers, answer = handle:httpCall("als", SIGNS, signs_message(mine), ANSWER_MS)
  if flying ~= mine then return end
  if headers[":status"] == "200" and answer then
    flying = nil
    now = handle:timestamp()
    if behind and not others_will(now) then send_held(handle, now) end
  else
    hold_again(handle:timestamp(), GIVE_UP_MS)
  end
end

-- Holds a sign of life that may wait.
local function hold(user, session, now)
  remember(user, now)
  local number = #held + 1
  if number == 1 then held_at = now end
  held[number] = user .. tostring(now) .. session
end

-- Somebody who holds one waits for the clock, and sends them all.
local function send_in_time(handle, now)
  if awaited then return end
  awaited = true
  handle:httpCall("clock", HELD, nil, ANSWER_MS)
  send_held(handle, handle:timestamp())
end

-- Whether somebody should have sent something and did not.
local function is_late(now)
  return (held[1] and (refused or since(now, held_at) >= LATE_MS))
    or (flying and since(now, flown_at) >= ANSWER_MS + LATE_MS)
end

local function read_begins(now)
  -- Those whose client hung up do not end, and would stay.
  if since(now, looked_at) >= READ_MS then
    looked_at = now
    for read, begun in pairs(under_way) do
      if since(now, begun) >= READ_MS then under_way[read] = nil end
    end
  end
  reads = reads + 1
  under_way[reads] = now
  return reads
end

local function read_ends(handle, read)
  under_way[read] = nil
  if not held[1] and not flying then return end
  local now = handle:timestamp()
  if not is_late(now) then
    if not held[1] or others_will(now) then return end
    if since(now, held_at) < HOLD_MS then
      awaited = true
      handle:httpCall("clock", MOMENT, nil, ANSWER_MS)
      awaited, now = false, handle:timestamp()
      if not held[1] or others_will(now) then return end
    end
  end
  send_held(handle, now)
end
