-- Data at rest is encrypted. data.encryption = { [resource type] = { attributes, one of which must be set } }

local function is_on(change, attribute)
  local value = get(change.change.after, attribute)
  return value == true or value == "true" or type(value) == "string" and value ~= "" and value ~= "false"
      or dig(change, "change", "after_unknown", attribute) == true
end

return {
  name = "encryption",
  title = "Encryption at rest",
  points = { "plan" },
  rules = {
    {
      name = "at-rest",
      severity = "deny",
      check = function(input)
        local found = {}
        for _, change in ipairs(input.plan.resource_changes) do
          local attributes = get(data.encryption, change.type)
          if attributes ~= nil and change.mode == "managed" and change.change.after ~= nil then
            local on = false
            for _, attribute in ipairs(attributes) do on = on or is_on(change, attribute) end
            if not on then
              found[#found + 1] = { message = change.address .. " is not encrypted: set " .. table.concat(attributes, " or "), path = change.address }
            end
          end
        end
        return found
      end,
    },
  },
}
