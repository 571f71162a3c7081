-- Stamps for the access-log stream, from which the activity service learns who is awake.
--
-- Dynamic metadata "eros" of every request whose token was verified:
--   user        the token's subject
-- and of those that go by the stream, which are all but what is gathered (gather.lua):
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
-- On an answer of these scripts that is as it should be.
local DONE = "x-eros-done"

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

-- A request goes by the stream.
local function mark(handle, background, session)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(EROS, "background", background)
  if session then metadata:set(EROS, "session", session) end
end

-- Before anything reads on.
local function forget_person(headers)
  headers:remove(USER)
  headers:remove(SESSION)
end

local function stamp_response(handle, status)
  if status == "401" then return end
  local metadata = handle:streamInfo():dynamicMetadata()
  local stamp = metadata:get(EROS)
  if not stamp or stamp.background == nil then return end
  if not stamp.background then streams(stamp.user, handle:timestamp()) end
  seq, lost = seq + 1 + lost, 0
  metadata:set(EROS, "boot", BOOT)
  metadata:set(EROS, "worker", WORKER)
  metadata:set(EROS, "seq", seq)
end
