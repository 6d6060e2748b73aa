-- Nobody outside may read or write a bucket.

local public_acls = { "public-read", "public-read-write", "authenticated-read" }
local block_attributes = { "block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets" }

local function planned(input, kind)
  local found = {}
  for _, change in ipairs(input.plan.resource_changes) do
    if change.type == kind and change.mode == "managed" and change.change.after ~= nil then found[#found + 1] = change end
  end
  return found
end

local function is_everybody(principal)
  if principal == "*" then return true end
  if type(principal) ~= "table" then return false end
  local who = get(principal, "AWS")
  return who == "*" or type(who) == "table" and includes(who, "*")
end

local function lets_everybody_in(text)
  local document = from_json(text)
  if document == nil then return false end
  local statements = get(document, "Statement", {})
  if has(statements, "Effect") then statements = { statements } end
  for _, statement in ipairs(statements) do
    if get(statement, "Effect") == "Allow" and is_everybody(get(statement, "Principal")) and not has(statement, "Condition") then return true end
  end
  return false
end

return {
  name = "no-public-buckets",
  title = "No public buckets",
  points = { "plan" },
  rules = {
    {
      name = "acl",
      severity = "deny",
      check = function(input)
        local found = {}
        for _, kind in ipairs({ "aws_s3_bucket", "aws_s3_bucket_acl" }) do
          for _, change in ipairs(planned(input, kind)) do
            local acl = get(change.change.after, "acl")
            if acl ~= nil and includes(public_acls, acl) then
              found[#found + 1] = { message = change.address .. " has the access list " .. acl .. ": everybody could read it", path = change.address }
            end
          end
        end
        return found
      end,
    },
    {
      name = "public-access-block",
      severity = "deny",
      check = function(input)
        local found = {}
        for _, change in ipairs(planned(input, "aws_s3_bucket_public_access_block")) do
          for _, attribute in ipairs(block_attributes) do
            if get(change.change.after, attribute) ~= true and not has(change.change.after_unknown, attribute) then
              found[#found + 1] = { message = change.address .. ": " .. attribute .. " must be true", path = change.address }
            end
          end
        end
        return found
      end,
    },
    {
      name = "bucket-policy",
      severity = "deny",
      check = function(input)
        local found = {}
        for _, kind in ipairs({ "aws_s3_bucket", "aws_s3_bucket_policy" }) do
          for _, change in ipairs(planned(input, kind)) do
            local text = get(change.change.after, "policy")
            if type(text) == "string" and lets_everybody_in(text) then
              found[#found + 1] = { message = change.address .. " allows everybody (Principal \"*\") without a condition", path = change.address }
            end
          end
        end
        return found
      end,
    },
  },
}
