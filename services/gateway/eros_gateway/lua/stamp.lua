-- Stamps for the access-log stream, from which the activity service learns who is awake.
--
-- Dynamic metadata "eros" of every request whose token was verified:
--   user        the token's subject
--   session     of whom Envoy answered itself
--   background  true when the call is no sign of life
--   boot        this Envoy process, and worker  this thread of it, which has a Lua state of its own
--   seq         1, 2, 3, … per (boot, worker), given when the response starts: the last moment at
--               which a script runs. Entries are logged when the response has been sent, so they
--               come in this order but for responses that a slow client is still reading. Every
--               number given is logged once; one that stays missing was lost on the way. A request
--               that is cut off before its response is logged without a number.
--
-- An answer 401 gets no number and is not logged to the stream: the token was good, but the session
-- behind it has ended, so whoever called is not the user.
local EROS, USER, BACKGROUND = "eros", "x-eros-user", "x-eros-background"
local SESSION = "x-eros-session"

local function read_file(path, format)
  local file = assert(io.open(path, "rb"))
  local text = file:read(format)
  file:close()
  return text
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

-- Process id and the instant it started, in ticks since the machine did: the same in all threads.
local stat = read_file("/proc/self/stat", "*a")
local BOOT = read_file("/proc/sys/kernel/random/boot_id", 8) .. "-" .. stat:match("^%d+") .. "-"
  .. select(20, stat:match(".*%)%s+" .. ("(%S+)%s+"):rep(20)))
local WORKER = hex(read_file("/dev/urandom", 8))
local seq = 0

-- The session of whoever has a verified token.
local function stamp_request(handle)
  local headers = handle:headers()
  -- From the verified token; a client's own was taken out before.
  local user = headers:get(USER)
  if not user then return end
  local session = headers:get(SESSION) or ""
  headers:remove(USER)
  headers:remove(SESSION)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(EROS, "user", user)
  if headers:get(BACKGROUND) == "1" or handle:filterContext():get("background") then
    metadata:set(EROS, "background", true)
  end
  return session
end

local function stamp_response(handle, status)
  local metadata = handle:streamInfo():dynamicMetadata()
  if status == "401" or not metadata:get(EROS) then return end
  seq = seq + 1
  metadata:set(EROS, "boot", BOOT)
  metadata:set(EROS, "worker", WORKER)
  metadata:set(EROS, "seq", seq)
end
