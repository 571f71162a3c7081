-- The sessions that have ended before their tokens did, as the activity service lists them. A thread
-- asks again when a heartbeat finds its list older than FRESH; that heartbeat waits for the answer,
-- others are answered meanwhile while the list is younger than STALE. Without a list that is young
-- enough nothing is answered here.
local FRESH_MS, STALE_MS, TIMEOUT_MS = 300, 600, 250
local LIST = {
  [":method"] = "POST",
  [":path"] = "/eros.activity.v1.EdgeService/ListEndedSessions",
  [":authority"] = "activity",
  ["content-type"] = "application/grpc",
  ["te"] = "trailers",
}

local ended = {}
local version, listed_at, asked_at = "", 0, 0

-- A gRPC message ListEndedSessionsRequest; strings of less than 128 bytes.
local function question()
  local message = version == "" and "" or "\10" .. string.char(#version) .. version
  return "\0\0\0\0" .. string.char(#message) .. message
end

-- A ListEndedSessionsResponse behind its gRPC prefix: field 1 the version, field 2 each session.
local function read_list(answer)
  local at, found, new = 6, {}, nil
  while at <= #answer do
    local tag, length, shift, byte = answer:byte(at), 0, 1, nil
    repeat
      at = at + 1
      byte = answer:byte(at)
      length = length + (byte % 128) * shift
      shift = shift * 128
    until byte < 128
    local text = answer:sub(at + 1, at + length)
    if #text < length then error("the list is cut off") end
    if tag == 10 then new = text elseif tag == 18 then found[text] = true end
    at = at + 1 + length
  end
  return assert(new, "a list without a version"), found
end

local function knows_ended(handle, now)
  -- A clock that was set back makes it old, not young for ever.
  local age = math.abs(now - listed_at)
  if age < FRESH_MS then return true end
  if math.abs(now - asked_at) < TIMEOUT_MS then return age < STALE_MS end
  asked_at = now
  local headers, answer = handle:httpCall("als", LIST, question(), TIMEOUT_MS)
  if headers[":status"] ~= "200" or not answer then return age < STALE_MS end
  local ok, new, found = pcall(read_list, answer)
  if not ok then return age < STALE_MS end
  if new ~= version then ended, version = found, new end
  -- As old as the question.
  listed_at, asked_at = now, 0
  return true
end
