-- ETags of reads: a read that is asked for again with if-none-match and has not changed is answered
-- 304 without its body. The service still does its work; what is saved is the way to the phone.
--
-- CRC-32 and Adler-32, 64 bits in all: nobody gains by a collision in their own answers, and none
-- happens by chance. The services' read ports tag what they answer themselves with the same two
-- (eros_common.shortcut.port), so a tag holds whichever way the next answer takes.
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

local CRC = {}
for n = 0, 255 do
  local c = n
  for _ = 1, 8 do
    c = band(c, 1) == 1 and bxor(rshift(c, 1), 0xEDB88320) or rshift(c, 1)
  end
  CRC[n] = c
end

local function etag_of(text)
  local crc, low, high = -1, 1, 0
  for i = 1, #text do
    local byte = text:byte(i)
    crc = bxor(rshift(crc, 8), CRC[band(bxor(crc, byte), 255)])
    low = low + byte
    high = high + low
    -- In between the sums stay so small that they are exact.
    if band(i, 4095) == 0 then low, high = low % 65521, high % 65521 end
  end
  local adler = bit.bor(bit.lshift(high % 65521, 16), low % 65521)
  return 'W/"' .. bit.tohex(bit.bnot(crc)) .. bit.tohex(adler) .. '"'
end

local CACHE = "eros.cache"
local PRIVATE = "private, no-cache"

local function remember_etag(handle)
  local known = handle:headers():get("if-none-match")
  -- What is remembered goes into the access-log stream, which ends where anything is not UTF-8.
  if known and not known:find("[^ -~]") then handle:streamInfo():dynamicMetadata():set(CACHE, "known", known) end
end

-- A list of tags, or "*"; compared weakly (RFC 9110, 13.1.2).
local function is_known(known, tag)
  if known == "*" then return true end
  for one in known:gmatch('"[^"]*"') do
    if one == tag:sub(3) then return true end
  end
  return false
end

local function answer_etag(handle)
  local body = handle:body()
  if not body then return end
  -- Asked for again: waiting for the body ends the life of what was there before.
  local headers = handle:headers()
  local tag = etag_of(body:getBytes(0, body:length()))
  headers:replace("etag", tag)
  headers:replace("cache-control", PRIVATE)
  local asked = handle:streamInfo():dynamicMetadata():get(CACHE)
  if asked and is_known(asked.known, tag) then
    body:setBytes("")
    headers:replace(":status", "304")
    headers:remove("content-length")
    headers:remove("content-type")
  end
end
