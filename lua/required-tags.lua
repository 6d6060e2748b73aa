-- Every resource that can carry tags carries those that the accounting asks for. data.required_tags = { tags = {...}, untagged_types = {...} }

local function kept(change)
  return change.mode == "managed" and not includes(change.change.actions, "delete")
      or includes(change.change.actions, "create")
end

-- Tags that the provider adds by itself stand in tags_all; before the apply either may be unknown.
local function tags_of(change)
  local all = dig(change, "change", "after", "tags_all")
  if all ~= nil then return all end
  return dig(change, "change", "after", "tags")
end

local function taggable(change)
  local after, unknown = change.change.after, change.change.after_unknown
  return after ~= nil and (has(after, "tags") or has(after, "tags_all") or has(unknown, "tags_all"))
end

local function missing_tags(change)
  local tags, missing = tags_of(change), {}
  for _, name in ipairs(data.required_tags.tags) do
    local value = tags ~= nil and get(tags, name) or nil
    local later = dig(change, "change", "after_unknown", "tags_all", name) or dig(change, "change", "after_unknown", "tags", name)
    if not later and (value == nil or value == "") then missing[#missing + 1] = name end
  end
  return missing
end

return {
  name = "required-tags",
  title = "Required tags",
  points = { "plan" },
  rules = {
    {
      name = "tags-present",
      title = "Resources carry the required tags",
      severity = "deny",
      check = function(input)
        local found = {}
        for _, change in ipairs(input.plan.resource_changes) do
          if kept(change) and taggable(change) and not includes(data.required_tags.untagged_types, change.type)
              and dig(change, "change", "after_unknown", "tags_all") ~= true then
            local missing = missing_tags(change)
            if #missing > 0 then
              found[#found + 1] = { message = change.address .. " lacks the tags " .. table.concat(missing, ", "), path = change.address }
            end
          end
        end
        return found
      end,
    },
  },
}
