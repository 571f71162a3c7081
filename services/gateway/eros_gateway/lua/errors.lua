-- The one error shape: {"success":false,"error":{"code","message","details"?,"requestId"}}.
--
-- Two kinds of error reach this filter: a service's, which the transcoder printed as google.rpc.Status
-- {"code":5,"message":"…","details":[{"@type":"…ErrorInfo","reason":"NOT_FOUND","domain":"eros"},…]},
-- and Envoy's own, which local_reply_config has shaped already. Of the latter the transcoder's refusals
-- of a body or query are marked byTranscoder: they may name a field, which belongs in details.

-- HTTP_STATUS (by code) and CODE_OF_GRPC (by number) are written in front of this from
-- eros_common.errors.


-- What a caller may read when a part of EROS failed without an answer of its own.
local SILENCE = {
  UNAVAILABLE = "This part of EROS cannot be reached now; please try again.",
  DEADLINE_EXCEEDED = "This took too long; please try again.",
  UNIMPLEMENTED = "This is not available.",
}
local SILENCE_OTHERWISE = "Something went wrong on our side."

local MUST_BE = {
  TYPE_BOOL = "true or false",
  TYPE_STRING = "a string",
  TYPE_DOUBLE = "a number", TYPE_FLOAT = "a number",
  TYPE_INT32 = "a whole number", TYPE_UINT32 = "a whole number",
  TYPE_ENUM = "one of the known words",
  ["type.googleapis.com/google.protobuf.ListValue"] = "a list",
  ["type.googleapis.com/google.protobuf.Timestamp"] = "an instant such as 2027-01-31T08:00:00Z",
}

-- Names and words below come from JSON strings, so they need no escaping.
local function shape(code, message, details, request_id)
  local rows = {}
  for i, row in ipairs(details) do
    rows[i] = '{"field":"' .. row.field .. '","message":"' .. row.message .. '"}'
  end
  return '{"success":false,"error":{"code":"' .. code .. '","message":"' .. message .. '"'
    .. (#rows > 0 and ',"details":[' .. table.concat(rows, ",") .. "]" or "")
    .. ',"requestId":"' .. request_id .. '"}}'
end

local function of_service(status, request_id)
  local code, message, details, retry_after = nil, status.message, {}, nil
  for _, detail in ipairs(status.details) do
    if detail.domain == "eros" and HTTP_STATUS[detail.reason] then
      code = detail.reason
    end
    retry_after = retry_after or (detail.retryDelay and detail.retryDelay:match("^%d+"))
    for _, violation in ipairs(detail.fieldViolations or {}) do
      details[#details + 1] = {field = violation.field, message = violation.description}
    end
  end
  if not code then
    -- Not one of our errors but gRPC's: its words are for us, not for callers.
    code = CODE_OF_GRPC[tonumber(status.code)]
    if not code or code == "UNKNOWN" then code = "INTERNAL" end
    message = SILENCE[code] or SILENCE_OTHERWISE
  end
  if HTTP_STATUS[code] == 503 then retry_after = retry_after or "1" end
  return shape(code, message, details, request_id), HTTP_STATUS[code], retry_after
end

local function of_field(name, must)
  return name .. " " .. must .. ".", {{field = name, message = must}}
end

local function camel(name)
  return (name:gsub("_(%l)", string.upper))
end

-- What the transcoder says of a body or query it refuses, as (message, details).
local function of_transcoder(words)
  -- Ours, of lua/bodies.lua.
  local name, must = words:match("^([%w_%.%[%]]+): (must [%l ]+)$")
  if name then return of_field(name, must) end
  local within, scalar =
    words:match("^([%w_%.%[%]]*): invalid value Starting an object on a scalar field for type ([%w_]+)$")
  if scalar then
    return of_field(camel(within == "" and scalar or within .. "." .. scalar), "must not be an object")
  end
  local kind
  name, kind = words:match("^([%w_%.%[%]]+): invalid value .* for type ([%w_%./]+)$")
  if name then
    return of_field(camel(name), "must be " .. (MUST_BE[kind] or "an object"))
  end
  name = words:match("Cannot set '([%w_]+)' for type oneof$")
  if name then return of_field(camel(name), "must not be given twice") end
  name = words:match('^Could not find field \\"([^"\\]+)\\" in the type')
  if name then return of_field(name:sub(1, 100), "is no parameter here") end
  name = words:match('^Encountered a non%-leaf field \\"([%w_]+)\\"')
  if name then return of_field(name, "has no parts") end
  if words:find("Root element must be a message", 1, true) then
    return "The body must be a JSON object.", {{field = "body", message = "must be a JSON object"}}
  end
  if words:find("cannot start list", 1, true) then
    return "The body has a list where one value belongs.",
      {{field = "body", message = "has a list where one value belongs"}}
  end
  -- The parser's first line; those after it repeat what was sent.
  local parser = words:match("^[%w%s'%.,%-]+")
  local fault = "not valid JSON" .. (parser and ": " .. parser or ".")
  return "The body is " .. fault, {{field = "body", message = "is " .. fault}}
end

local function convert_error(handle)
  local body = handle:body()
  if not body then return end
  local ok, answer = pcall(parse_json, body:getBytes(0, body:length()), 1)
  if not ok or type(answer) ~= "table" then return end
  local headers = handle:headers()
  local text, http_status, retry_after
  if type(answer.details) == "table" then
    text, http_status, retry_after = of_service(answer, headers:get("x-request-id") or "")
  elseif answer.byTranscoder then
    local message, details = of_transcoder(answer.error.message)
    text = shape(answer.error.code, message, details, answer.error.requestId)
  else
    return
  end
  headers:replace("content-length", tostring(body:setBytes(text)))
  if http_status then headers:replace(":status", tostring(http_status)) end
  if retry_after then headers:replace("retry-after", retry_after) end
end
