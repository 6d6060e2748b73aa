-- What holds data in production cannot be deleted by one call. data.deletion_protection = { environments = {...}, attributes = { [type] = attribute } }

return {
  name = "deletion-protection",
  title = "Deletion protection in production",
  points = { "plan" },
  rules = {
    {
      name = "protected",
      severity = "deny",
      check = function(input)
        local found = {}
        if input.kind ~= "create" or not includes(data.deletion_protection.environments, input.environment.name) then return end
        for _, change in ipairs(input.plan.resource_changes) do
          local attribute = get(data.deletion_protection.attributes, change.type)
          if attribute ~= nil and change.mode == "managed" and change.change.after ~= nil
              and get(change.change.after, attribute) ~= true and dig(change, "change", "after_unknown", attribute) ~= true then
            found[#found + 1] = { message = change.address .. ": " .. attribute .. " must be true in " .. input.environment.name, path = change.address }
          end
        end
        return found
      end,
    },
    {
      name = "bucket-contents",
      title = "A bucket is not emptied with its end",
      severity = "warn",
      check = function(input)
        local found = {}
        if not includes(data.deletion_protection.environments, input.environment.name) then return end
        for _, change in ipairs(input.plan.resource_changes) do
          if change.type == "aws_s3_bucket" and change.change.after ~= nil and get(change.change.after, "force_destroy") == true then
            found[#found + 1] = { message = change.address .. " would lose its contents with its end (force_destroy)", path = change.address }
          end
        end
        return found
      end,
    },
  },
}
