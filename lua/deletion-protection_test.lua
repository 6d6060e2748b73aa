local function plan(environment, kind, after)
  return { environment = { name = environment }, plan = { resource_changes = { { address = kind .. ".x", mode = "managed", type = kind,
    change = { actions = { "create" }, after = after, after_unknown = {} } } } } }
end

return {
  { name = "production without", point = "plan", input = plan("production", "aws_db_instance", { deletion_protection = false }),
    expect = { { rule = "protected", severity = "deny", message = "deletion_protection must be true in production" } } },
  { name = "production with", point = "plan", input = plan("production", "aws_db_instance", { deletion_protection = true }), expect = {} },
  { name = "a test without", point = "plan", input = plan("test", "aws_db_instance", { deletion_protection = false }), expect = {} },
  { name = "a bucket that is emptied", point = "plan", input = plan("prod", "aws_s3_bucket", { force_destroy = true }),
    expect = { { rule = "bucket-contents", severity = "warn" } } },
  { name = "a bucket that is not", point = "plan", input = plan("prod", "aws_s3_bucket", { force_destroy = false }), expect = {} },
}
