"""The golden paths of the cloud, against the moto server: made, seen by boto3, destroyed; with both engines."""
import os
import pathlib
import subprocess
import sys

import boto3
import pytest

from support.platform import free_port, wait_for


def has_aws():
    mirror = os.environ.get("SOMA_PROVIDER_MIRROR", "")
    return any(list(pathlib.Path(root).glob("*/hashicorp/aws/*/linux_amd64/terraform-provider-aws*")) for root in mirror.split(":") if root)


pytestmark = pytest.mark.skipif(not has_aws(), reason="no mirror on this machine has the AWS provider")


@pytest.fixture(scope="module")
def cloud(soma):
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"

    def up():
        import urllib.request
        try:
            return urllib.request.urlopen(endpoint + "/moto-api/", timeout=2).status == 200
        except OSError:
            return False
    try:
        wait_for("moto answers", 60, up)
        soma.must(201, "POST", "/api/v1/environments", {
            "name": "cloud", "settings": {"aws_endpoint": endpoint, "region": "eu-central-1"},
            "credentials": {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}})
        yield endpoint
    finally:
        server.terminate()
        server.wait(20)


def client(kind, endpoint):
    return boto3.client(kind, endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id="testing", aws_secret_access_key="testing-secret")


def test_a_bucket_is_made_tagged_and_destroyed(soma, cloud):
    order = soma.order("cloud-bucket", template="s3-bucket", environment="cloud", parameters={}, seconds=400)
    assert order["state"] == "ready", order["reason"]
    outputs = soma.must(200, "GET", "/api/v1/services/cloud-bucket/outputs").json["outputs"]
    s3 = client("s3", cloud)
    bucket = outputs["bucket"]["value"]
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    tags = {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert {"Owner": "admin", "CostCenter": "cc-7", "ManagedBy": "soma", "Environment": "cloud"}.items() <= tags.items()
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
    assert soma.destroy("cloud-bucket", seconds=400)["state"] == "ready"
    assert bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize("engine", ["SOMA_TOFU", "SOMA_TERRAFORM"])
def test_a_queue_is_made_and_destroyed_by_both_engines(own_soma, cloud, engine):
    if not os.environ.get(engine):
        pytest.skip(f"{engine} names no engine on this machine")
    soma = own_soma(engine=os.environ[engine])
    soma.must(201, "POST", "/api/v1/environments", {"name": "cloud", "settings": {"aws_endpoint": cloud, "region": "eu-central-1"},
              "credentials": {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}})
    name = f"queue-{engine[5:].lower()}"
    order = soma.order(name, template="sqs-queue", environment="cloud", parameters={}, seconds=400)
    assert order["state"] == "ready", order["reason"]
    sqs = client("sqs", cloud)
    assert any(name in url for url in sqs.list_queues().get("QueueUrls", []))
    assert soma.destroy(name, seconds=400)["state"] == "ready"
    assert not any(name in url for url in sqs.list_queues().get("QueueUrls", []))
