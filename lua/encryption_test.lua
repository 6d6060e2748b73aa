local function plan(kind, after, unknown)
  return { plan = { resource_changes = { { address = kind .. ".x", mode = "managed", type = kind, change = { actions = { "create" }, after = after, after_unknown = unknown or {} } } } } }
end

return {
  { name = "an encrypted database", point = "plan", input = plan("aws_db_instance", { storage_encrypted = true }), expect = {} },
  { name = "one that is not", point = "plan", input = plan("aws_db_instance", { storage_encrypted = false }),
    expect = { { rule = "at-rest", severity = "deny", message = "set storage_encrypted", path = "aws_db_instance.x" } } },
  { name = "nothing is said", point = "plan", input = plan("aws_ebs_volume", { size = 8 }), expect = { { rule = "at-rest" } } },
  { name = "known after the apply", point = "plan", input = plan("aws_ebs_volume", { size = 8 }, { encrypted = true }), expect = {} },
  { name = "a key of one's own", point = "plan", input = plan("aws_sqs_queue", { kms_master_key_id = "alias/queue" }), expect = {} },
  { name = "other types", point = "plan", input = plan("aws_iam_role", { name = "x" }), expect = {} },
}
