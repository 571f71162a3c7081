function envoy_on_request(handle)
  local session, context = stamp_request(handle), handle:filterContext()
  -- Waiting for a body ends the life of every object but the handle.
  local single, lists = context:get("single"), context:get("lists") or ""
  if context:get("cached") then
    if not answer_cached(handle, context:get("cached")) then remember_etag(handle) end
  elseif context:get("etag") then
    remember_etag(handle)
  elseif session and context:get("heartbeat") and consider_heartbeat(handle, session) then
    return
  elseif single then
    refuse_body(handle, single, lists)
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  stamp_response(handle, status)
  status = serviced_status(headers, status)
  local kind = headers:get("content-type") or ""
  if kind:sub(1, 16) ~= "application/grpc" then
    -- The transcoder leaves these on what it converts.
    headers:remove("grpc-status")
    headers:remove("grpc-message")
    if headers:get("etag") then
      -- Answered from the cache; what it said of itself is not all that is in there now.
      headers:replace("cache-control", PRIVATE)
    elseif kind == "application/json" then
      -- What says when to come back is Envoy's own, and said in full.
      if status >= "400" and not headers:get("retry-after") then
        convert_error(handle)
      elseif status == "200" and handle:filterContext():get("etag") then
        answer_etag(handle)
      end
    end
  end
end
