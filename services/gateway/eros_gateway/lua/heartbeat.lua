-- Answers, without asking a service, a heartbeat that says in one of these exact ways that the app is
-- in use. Whatever else there is to say takes the other way, to the same JSON.
local IN_USE = {
  ['{"appActive":true,"screenOn":true}'] = true,
  ['{"screenOn":true,"appActive":true}'] = true,
  ['{"appActive": true, "screenOn": true}'] = true,
  ['{"screenOn": true, "appActive": true}'] = true,
}
-- The longest of them, and the shortest.
local LONGEST, SHORTEST = 37, 34

local second, written = "", ""

-- As the transcoder writes an instant of whole milliseconds, which is what Envoy tells.
local function now_written(handle)
  local now = tostring(handle:timestamp())
  local whole = now:sub(1, -4)
  if whole ~= second then
    second, written = whole, os.date("!%Y-%m-%dT%H:%M:%S.", tonumber(whole))
  end
  return written .. now:sub(-3) .. "Z"
end

local function is_in_use(handle, headers)
  local length = tonumber(headers:get("content-length") or "")
  if not length or length > LONGEST or length < SHORTEST then return false end
  local body = handle:body()
  return body ~= nil and IN_USE[body:getBytes(0, body:length())] == true
end

-- Whether it was answered.
local function consider_heartbeat(handle, session)
  local headers = handle:headers()
  if session == "" or headers:get(BACKGROUND) or not is_in_use(handle, headers) then return false end
  if not knows_ended(handle) or ended[session] then return false end
  -- Waiting has ended the life of every object but the handle.
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(EROS, "background", false)
  metadata:set(EROS, "session", session)
  handle:respond(
    {[":status"] = "200", ["content-type"] = "application/json"},
    '{"success":true,"idleTime":0,"processingPhase":0,"timestamp":"' .. now_written(handle) .. '"}'
  )
  return true
end
