function envoy_on_request(handle)
  local headers, context = handle:headers(), handle:filterContext()
  -- From the verified token; a client's own was taken out before.
  local user = headers:get(USER)
  local session = user and (headers:get(SESSION) or "")
  if user then
    handle:streamInfo():dynamicMetadata():set(EROS, "user", user)
    if context:get("heartbeat") then
      if answer_heartbeat(handle, headers, user, session) then return end
      headers, context = handle:headers(), handle:filterContext()
    end
    forget_person(headers)
  end
  local cached, idle, held_here = context:get("cached"), context:get("idle"), false
  if user then
    local background = headers:get(BACKGROUND) == "1" or context:get("background") or false
    -- Of an ended session it is no sign of life: it may not make its person one of those who are
    -- awake, whose next sign can wait.
    if cached and not background and not ended[session] then
      local now = handle:timestamp()
      held_here = may_wait(user, now)
      if held_here then hold(user, session, now) end
    end
    if not held_here then mark(handle, background) end
  end
  if cached then
    if not answer_cached(handle, headers, cached, held_here) then remember_etag(handle) end
  elseif context:get("etag") then
    remember_etag(handle)
  elseif context:get("single") and refuse_body(handle, context:get("single"), context:get("lists") or "") then
    return
  end
  -- Whoever asks how long they have been idle gave their last sign on this connection, so here.
  if user and idle and held[1] then send_held(handle, handle:timestamp()) end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get(DONE) then
    headers:remove(DONE)
    if headers:get("etag") then headers:replace("cache-control", PRIVATE) end
    return
  end
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
