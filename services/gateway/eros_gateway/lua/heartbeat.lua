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
local function written_instant(now)
  local digits = tostring(now)
  local whole = digits:sub(1, -4)
  if whole ~= second then
    second, written = whole, os.date("!%Y-%m-%dT%H:%M:%S.", tonumber(whole))
  end
  return written .. digits:sub(-3) .. "Z"
end

local function is_in_use(handle, headers)
  local length = tonumber(headers:get("content-length") or "")
  if not length or length > LONGEST or length < SHORTEST then return false end
  local body = handle:body()
  return body ~= nil and IN_USE[body:getBytes(0, body:length())] == true
end

local ANSWER = {[":status"] = "200", ["content-type"] = "application/json"}
local ANSWER_DONE = {[":status"] = "200", ["content-type"] = "application/json", [DONE] = "1"}

-- Whether it was answered.
local function answer_heartbeat(handle, headers, user, session)
  if session == "" or headers:get(BACKGROUND) or not is_in_use(handle, headers) then return false end
  -- Waiting has ended the life of every object but the handle.
  local now, answer = handle:timestamp(), ANSWER_DONE
  if is_late(now) then send_held(handle, now) end
  if not knows_ended(handle, now) or ended[session] then return false end
  if may_wait(user, now) then
    hold(user, session, now)
    send_in_time(handle, now)
  else
    mark(handle, false, session)
    answer = ANSWER
  end
  handle:respond(
    answer,
    '{"success":true,"idleTime":0,"processingPhase":0,"timestamp":"' .. written_instant(now) .. '"}'
  )
  return true
end
