local function bucket(actions, after, unknown)
  return {
    address = "aws_s3_bucket.this", mode = "managed", type = "aws_s3_bucket", name = "this",
    change = { actions = actions, after = after, after_unknown = unknown or {} },
  }
end

local function plan(change) return { plan = { resource_changes = { change } } } end

local complete = { Owner = "payments", CostCenter = "CC-100", Environment = "test" }

return {
  { name = "all tags are there", point = "plan", input = plan(bucket({ "create" }, { tags_all = complete })), expect = {} },
  { name = "the module's own tags do as well", point = "plan", input = plan(bucket({ "create" }, { tags = complete })), expect = {} },
  {
    name = "two are missing, one is empty", point = "plan",
    input = plan(bucket({ "create" }, { tags_all = { Owner = "payments", CostCenter = "" } })),
    expect = { { rule = "tags-present", severity = "deny", message = "lacks the tags CostCenter, Environment", path = "aws_s3_bucket.this" } },
  },
  { name = "no tags at all", point = "plan", input = plan(bucket({ "update" }, { tags = {} })), expect = { { message = "Owner" } } },
  { name = "not known before the apply", point = "plan", input = plan(bucket({ "create" }, { bucket = "b" }, { tags_all = true })), expect = {} },
  { name = "one value is not known yet", point = "plan",
    input = plan(bucket({ "create" }, { tags_all = { Owner = "payments", Environment = "test" } }, { tags_all = { CostCenter = true } })), expect = {} },
  { name = "a type without tags", point = "plan", input = plan(bucket({ "create" }, { name = "x" })), expect = {} },
  { name = "what is deleted needs none", point = "plan", input = plan(bucket({ "delete" }, nil)), expect = {} },
  { name = "a type that is excepted", point = "plan", input = plan(bucket({ "create" }, { tags = {} })),
    data = { required_tags = { tags = { "Owner" }, untagged_types = { "aws_s3_bucket" } } }, expect = {} },
  { name = "data is misspelt", point = "plan", input = plan(bucket({ "create" }, { tags = {} })),
    data = { required_tags = { tag = { "Owner" }, untagged_types = {} } }, fails = "there is no field `tags`" },
}
