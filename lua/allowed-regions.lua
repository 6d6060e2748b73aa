-- Where things may be. data.allowed_regions = { [environment or "*"] = { globs of regions } }

local function allowed(environment)
  return get(data.allowed_regions, environment, get(data.allowed_regions, "*"))
end

local function fits(region, globs)
  for _, pattern in ipairs(globs) do
    if region:glob(pattern) then return true end
  end
  return false
end

-- What a resource says of its place: a region, or a zone, which is a region and a letter.
local function place_of(after)
  local region = get(after, "region")
  if type(region) == "string" then return region end
  local zone = get(after, "availability_zone")
  if type(zone) == "string" and zone:glob("*-*-?*") then return zone:sub(1, -2) end
end

return {
  name = "allowed-regions",
  title = "Allowed regions",
  rules = {
    {
      name = "environment-region",
      title = "The environment's region is allowed",
      points = { "request" },
      severity = "deny",
      check = function(input)
        local globs, region = allowed(input.environment.name), input.environment.region
        if globs ~= nil and region ~= nil and not fits(region, globs) then
          return "the environment " .. input.environment.name .. " is in " .. region .. "; allowed there: " .. table.concat(globs, ", ")
        end
      end,
    },
    {
      name = "resource-region",
      title = "No resource is put elsewhere",
      points = { "plan" },
      severity = "deny",
      check = function(input)
        local globs, found = allowed(input.environment.name), {}
        if globs == nil then return end
        for _, change in ipairs(input.plan.resource_changes) do
          local after = change.change.after
          local place = after ~= nil and place_of(after) or nil
          if change.mode == "managed" and place ~= nil and not fits(place, globs) then
            found[#found + 1] = { message = change.address .. " would be in " .. place .. "; allowed: " .. table.concat(globs, ", "), path = change.address }
          end
        end
        return found
      end,
    },
  },
}
