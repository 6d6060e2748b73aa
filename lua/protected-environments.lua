-- Environments in which nothing ends, is replaced or is shown without a second look.
-- data.protected_environments = { names = {...}, approvers = 1, show_secrets = true }

local function protected(input)
  return includes(data.protected_environments.names, input.environment.name)
end

return {
  name = "protected-environments",
  title = "Protected environments",
  rules = {
    {
      name = "destroy",
      title = "Ending a service needs consent",
      points = { "destroy" },
      severity = "approve",
      check = function(input)
        if protected(input) then
          return {
            message = "ending " .. input.service.name .. " in " .. input.environment.name .. " needs an approver's consent",
            approve = { role = "approver", count = data.protected_environments.approvers },
          }
        end
      end,
    },
    {
      name = "replace",
      title = "Replacing what holds data needs consent",
      points = { "plan" },
      severity = "approve",
      check = function(input)
        local found = {}
        if input.kind == "destroy" or not protected(input) then return end
        for _, change in ipairs(input.plan.resource_changes) do
          if change.mode == "managed" and includes(change.change.actions, "delete") then
            found[#found + 1] = {
              message = change.address .. " would be deleted or replaced in " .. input.environment.name,
              path = change.address,
              approve = { role = "approver", count = data.protected_environments.approvers },
            }
          end
        end
        return found
      end,
    },
    {
      name = "reveal",
      title = "Secrets are not shown where that is turned off",
      points = { "reveal" },
      severity = "deny",
      check = function(input)
        if protected(input) and not data.protected_environments.show_secrets then
          return "secrets of " .. input.environment.name .. " are not shown to people; use soma services connect or the secret's place in the cloud"
        end
      end,
    },
  },
}
