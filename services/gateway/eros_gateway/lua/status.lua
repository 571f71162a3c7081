-- An HTTP status that gRPC has no word for, with a body of its own: a service names it in a header
-- (metadata) of its answer. A client cannot: this looks at answers only.
local STATUS = "x-eros-status"

local function serviced_status(headers, status)
  local wanted = headers:get(STATUS)
  if not wanted then return status end
  headers:remove(STATUS)
  headers:replace(":status", wanted)
  return wanted
end
