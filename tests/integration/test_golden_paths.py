"""The built-in golden paths of the cloud, ordered against the moto server, seen by boto3, destroyed.

AWS takes minutes for most of them and the mock imitates that, so everything is ordered at once and the tests wait. Each is made by one engine and planned
by the other. What moto 5.2 cannot do is planned alone, and PLANNED_ONLY says why. One mock gives each RDS instance the same resource id: there are two."""
import contextlib
import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import urllib.request
import zipfile

import boto3
import pytest

from support.platform import CHECKOUT, Platform, free_port, git, wait_for

from test_cloud import has_aws

pytestmark = pytest.mark.skipif(not has_aws(), reason="no mirror on this machine has the AWS provider")

TAGS = {"Owner": "admin", "CostCenter": "cc-7", "ManagedBy": "soma", "Environment": "cloud"}
PATHS = ["web-app-standard", "mysql-database", "postgres-rds", "rabbitmq-broker", "file-storage", "lambda-function", "container-service", "redis-cache"]
PLANNED_ONLY = {"redis-cache": "moto deletes neither subnet groups nor parameter groups of ElastiCache, and its replication groups never come up"}
ENGINES = ["SOMA_TOFU", "SOMA_TERRAFORM"]
MADE_BY = {"mysql-database": "SOMA_TOFU", "postgres-rds": "SOMA_TERRAFORM", "rabbitmq-broker": "SOMA_TOFU", "file-storage": "SOMA_TERRAFORM",
           "web-app-standard": "SOMA_TERRAFORM", "lambda-function": "SOMA_TOFU", "container-service": "SOMA_TERRAFORM"}
NAMES = {"mysql-database": "orders--db", "container-service": "a-name-of-forty-letters-is-the-longest--1"[:39] + "1"}  # what AWS itself would refuse
SLOW = ["mysql-database", "postgres-rds", "container-service"]
SECONDS = 600


@contextlib.contextmanager
def mock_cloud():
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def up():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=2).status == 200
        except OSError:
            return False
    try:
        wait_for("moto answers", 60, up)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


class Side:
    """An installation with one engine, and a cloud of its own."""

    def __init__(self, engine, endpoint):
        self.engine, self.endpoint = engine, endpoint
        self.soma = Platform(engine=os.environ[engine], job_threads=4)
        self.made, self.planned, self.destroyed = {}, {}, {}
        self.remotes = self.soma.folder / "remotes"
        self.remotes.mkdir()

    def begin(self):
        self.soma.start()
        self.soma.bootstrap()
        self.soma.fill()
        self.soma.must(201, "POST", "/api/v1/environments", {
            "name": "cloud", "settings": {"aws_endpoint": self.endpoint, "region": "eu-central-1", "postgres_host": "127.0.0.1",
                                          "postgres_port": str(self.soma.workloads.port), "git_remote_base": f"file://{self.remotes}"},
            "credentials": {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret", "PGUSER": "soma_provisioner",
                            "PGPASSWORD": self.soma.secrets["provisioner"]}})

    def order_slow(self):
        self.made = {path: self.order(path) for path in SLOW if MADE_BY[path] == self.engine}

    def order_rest(self):
        self.past_planning(self.made.values())
        self.made |= {path: self.order(path) for path in MADE_BY if MADE_BY[path] == self.engine and path not in SLOW}
        self.planned = {path: self.order(path, plan_only=True) for path in PATHS if MADE_BY.get(path) != self.engine}

    def past_planning(self, orders):
        """Planning takes the processors, applying the time: what takes long goes ahead."""
        for order in orders:
            self.soma.wait_order(order, states=("applying", "monitoring", "registering", "ready", "failed"), seconds=SECONDS)

    def destroy(self, paths):
        for path in paths:
            if path in self.made:
                self.soma.wait_order(self.made[path], seconds=SECONDS)
                self.destroyed[path] = self.soma.destroy(NAMES.get(path, path), wait=False)["id"]

    def order(self, path, **more):
        return self.soma.order(NAMES.get(path, path), template=path, environment="cloud", parameters={}, wait=False, **more)["id"]

    def client(self, kind):
        return boto3.client(kind, endpoint_url=self.endpoint, region_name="eu-central-1", aws_access_key_id="testing", aws_secret_access_key="testing-secret")

    def outputs(self, path):
        found = self.soma.must(200, "GET", f"/api/v1/services/{NAMES.get(path, path)}/outputs").json["outputs"]
        return {name: output["value"] for name, output in found.items()}


@pytest.fixture(scope="module")
def sides():
    missing = [engine for engine in ENGINES if not os.environ.get(engine)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} name no engine on this machine")
    with contextlib.ExitStack() as stack:
        both = {}
        for engine in ENGINES:
            both[engine] = Side(engine, stack.enter_context(mock_cloud()))
            stack.callback(both[engine].soma.stop)
        for step in ("begin", "order_slow", "order_rest"):
            for side in both.values():
                getattr(side, step)()
        yield both


@pytest.fixture(scope="module")
def ended(sides):
    """The end of everything that was made, ordered at once."""
    for side in sides.values():
        side.destroy(SLOW)
    for side in sides.values():
        side.past_planning(side.destroyed.values())
        side.destroy([path for path in side.made if path not in SLOW])
    return sides


def made(sides, path):
    side = sides[MADE_BY[path]]
    order = side.soma.wait_order(side.made[path], seconds=SECONDS)
    assert order["state"] == "ready", order["reason"]
    assert not side.soma.must(200, "GET", f"/api/v1/services/{NAMES.get(path, path)}").json.get("warning")
    return side, side.outputs(path)


def tags_of(items, key="Key", value="Value"):
    return {tag[key]: tag[value] for tag in items}


def has_tags(tags):
    assert TAGS.items() <= tags.items(), tags


@pytest.mark.parametrize("path", PATHS)
def test_the_other_engine_plans_it(sides, path):
    for side in sides.values():
        if path not in side.planned:
            continue
        order = side.soma.wait_order(side.planned[path], seconds=SECONDS)
        assert order["state"] == "ready", order["reason"]
        assert order["plan"]["add"] >= 2 and not order["plan"]["destroy"], order["plan"]


def test_the_mock_cannot_make_a_cache(sides):
    """Planned only, by both engines: encrypted, with a password, from inside alone."""
    assert "redis-cache" in PLANNED_ONLY and all("redis-cache" not in side.made for side in sides.values())
    for side in sides.values():
        order = side.soma.wait_order(side.planned["redis-cache"], seconds=SECONDS)
        assert order["state"] == "ready", order["reason"]


def test_a_web_application_has_database_bucket_and_repository(sides, tmp_path):
    side, outputs = made(sides, "web-app-standard")
    assert side.soma.workloads.sql("select 1 from pg_database where datname = 'web-app-standard'") == [["1"]]
    has_tags(tags_of(side.client("s3").get_bucket_tagging(Bucket=outputs["bucket"])["TagSet"]))
    assert outputs["repository_url"] == f"file://{side.remotes}/web-app-standard.git"
    git(tmp_path, "clone", "-q", outputs["repository_url"], "clone")
    assert f"bucket `{outputs['bucket']}` in eu-central-1" in (tmp_path / "clone/README.md").read_text()
    assert 'PORT="${PORT:-8080}"' in (tmp_path / "clone/bin/dev").read_text(), "what is the shell's stays the shell's"
    assert os.access(tmp_path / "clone/bin/dev", os.X_OK) and not os.access(tmp_path / "clone/README.md", os.X_OK)
    skeleton = CHECKOUT / "templates/web-app-standard/skeleton"
    assert (tmp_path / "clone/static/icon.png").read_bytes() == (skeleton / "static/icon.png").read_bytes()
    assert git(tmp_path / "clone", "ls-files").count("\n") + 1 == sum(p.is_file() for p in skeleton.rglob("*"))
    done = subprocess.run([sys.executable, "-m", "unittest", "discover", "-s", "tests"], cwd=tmp_path / "clone", check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    secret = side.soma.must(200, "POST", "/api/v1/services/web-app-standard/outputs/reveal", {}).json["outputs"]["password"]["value"]
    assert subprocess.run(["grep", "-rqF", secret, tmp_path / "clone"], check=False).returncode == 1
    providers = [provider["address"] for provider in json.loads(side.soma.store.sql(
        f"select providers from soma.run where order_id = '{side.made['web-app-standard']}' and phase = 'apply'", "soma")[0][0])]
    assert sorted(address.rsplit("/", 1)[1] for address in providers) == ["aws", "postgresql"], "one of each"


@pytest.mark.parametrize("path", ["mysql-database", "postgres-rds"])
def test_a_database_server_is_encrypted_and_private(sides, path):
    side, outputs = made(sides, path)
    rds = side.client("rds")
    instance = rds.describe_db_instances(DBInstanceIdentifier=outputs["identifier"])["DBInstances"][0]
    assert instance["StorageEncrypted"] and not instance["PubliclyAccessible"] and not instance["DeletionProtection"]
    assert instance["BackupRetentionPeriod"] == 7 and instance["Engine"] == {"mysql-database": "mysql", "postgres-rds": "postgres"}[path]
    assert "--" not in outputs["identifier"] and not outputs["identifier"].endswith("-")
    has_tags(tags_of(rds.list_tags_for_resource(ResourceName=outputs["arn"])["TagList"]))
    assert outputs["password"] is None and outputs["url"] is None
    revealed = side.soma.must(200, "POST", f"/api/v1/services/{NAMES.get(path, path)}/outputs/reveal", {}).json["outputs"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", revealed["password"]["value"]) and revealed["password"]["value"] in revealed["url"]["value"]
    group = side.client("ec2").describe_security_groups(GroupIds=[g["VpcSecurityGroupId"] for g in instance["VpcSecurityGroups"]])["SecurityGroups"][0]
    assert [(r["FromPort"], [n["CidrIp"] for n in r["IpRanges"]]) for r in group["IpPermissions"]] == [(outputs["port"], ["172.31.0.0/16"])]
    assert group["IpPermissionsEgress"] == []
    has_tags(tags_of(group["Tags"]))


def test_a_broker(sides):
    side, outputs = made(sides, "rabbitmq-broker")
    broker = side.client("mq").describe_broker(BrokerId=outputs["broker_id"])
    assert broker["EngineType"].upper() == "RABBITMQ" and not broker["PubliclyAccessible"] and broker["DeploymentMode"] == "SINGLE_INSTANCE"
    assert [user["Username"] for user in broker["Users"]] == ["app"]
    has_tags(broker["Tags"])
    refused = side.soma.api("POST", "/api/v1/orders", {"kind": "create", "name": "small-cluster", "template": "rabbitmq-broker", "environment": "cloud", "team": "payments",
                            "parameters": {"cluster": True, "size": "small"}}, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert refused.status == 422 and "/parameters/size" in [field["pointer"] for field in refused.json["errors"]], refused


def test_a_file_system(sides):
    side, outputs = made(sides, "file-storage")
    efs = side.client("efs")
    system = efs.describe_file_systems(FileSystemId=outputs["file_system_id"])["FileSystems"][0]
    assert system["Encrypted"] and system["ThroughputMode"] == "elastic"
    has_tags(tags_of(system["Tags"]))
    assert len(efs.describe_mount_targets(FileSystemId=outputs["file_system_id"])["MountTargets"]) == 3
    point = efs.describe_access_points(AccessPointId=outputs["access_point_id"])["AccessPoints"][0]
    assert point["PosixUser"]["Uid"] == 1000 and point["RootDirectory"]["Path"] == "/data"


def test_a_function(sides):
    side, outputs = made(sides, "lambda-function")
    function = side.client("lambda").get_function(FunctionName=outputs["function_name"])
    assert function["Configuration"]["Runtime"] == "python3.13" and function["Configuration"]["MemorySize"] == 256
    has_tags(function["Tags"])
    s3 = side.client("s3")
    package = s3.get_object(Bucket=outputs["code_bucket"], Key=outputs["code_key"])["Body"].read()
    assert package == (CHECKOUT / "templates/lambda-function/starter/python.zip").read_bytes()
    assert s3.get_public_access_block(Bucket=outputs["code_bucket"])["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"]
    policy = side.client("iam").get_role_policy(RoleName=outputs["role"], PolicyName="log")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == ["logs:PutLogEvents", "logs:CreateLogStream"], policy
    assert outputs["log_group"] in policy["Statement"][0]["Resource"]


def test_a_container_service(sides):
    side, outputs = made(sides, "container-service")
    ecs = side.client("ecs")
    service = ecs.describe_services(cluster=outputs["cluster"], services=[outputs["service"]], include=["TAGS"])["services"][0]
    assert service["desiredCount"] == 1 and service["launchType"] == "FARGATE"
    assert service["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    has_tags(tags_of(service["tags"], "key", "value"))
    balancer = side.client("elbv2").describe_load_balancers(Names=[outputs["service"]])["LoadBalancers"][0]
    assert balancer["Scheme"] == "internal" and len(outputs["service"]) <= 32
    task = ecs.describe_task_definition(taskDefinition=outputs["task_family"])["taskDefinition"]
    assert task["containerDefinitions"][0]["logConfiguration"]["options"]["awslogs-group"] == outputs["log_group"]


@pytest.mark.parametrize("path", [path for path in PATHS if path not in PLANNED_ONLY])
def test_it_is_in_the_catalog_and_watched(sides, path, tmp_path):
    side, outputs = made(sides, path)
    name = NAMES.get(path, path)
    rules = side.soma.must(200, "GET", f"/api/v1/services/{name}/monitoring/rules").body
    assert b"{{ soma." not in rules
    if os.environ.get("SOMA_PROMETHEUS"):
        (tmp_path / "rules.yml").write_bytes(rules)
        promtool = pathlib.Path(os.environ["SOMA_PROMETHEUS"]).parent / "promtool"
        done = subprocess.run([promtool, "check", "rules", tmp_path / "rules.yml"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    dashboard = json.loads(side.soma.must(200, "GET", f"/api/v1/services/{name}/monitoring/dashboard").body)
    assert "{{ soma." not in json.dumps(dashboard) and len(dashboard["panels"]) >= 4
    assert outputs["region"] == "eu-central-1"


@pytest.mark.parametrize("path, name", [("container-service", "internal-api"), ("lambda-function", "sthree-x"), ("web-app-standard", "postgres"), ("web-app-standard", "xn--x")])
def test_a_name_that_aws_or_postgresql_keeps_is_refused_at_once(sides, path, name):
    soma = sides["SOMA_TOFU"].soma
    refused = soma.api("POST", "/api/v1/orders", {"kind": "create", "name": name, "template": path, "environment": "cloud", "team": "payments", "parameters": {}},
                       headers={"Idempotency-Key": secrets.token_hex(8)})
    assert refused.status == 422 and [field["pointer"] for field in refused.json["errors"]] == ["/name"], refused


@pytest.mark.parametrize("path", [path for path in PATHS if path not in PLANNED_ONLY])
def test_it_is_destroyed(ended, path):
    side = ended[MADE_BY[path]]
    order = side.soma.wait_order(side.destroyed[path], seconds=SECONDS)
    assert order["state"] == "ready", order["reason"]


def test_a_repository_outlives_its_application(ended):
    side = ended[MADE_BY["web-app-standard"]]
    order = side.soma.wait_order(side.destroyed["web-app-standard"], seconds=SECONDS)
    assert "stays" in order["reason"] and str(side.remotes) in order["reason"]
    assert git(side.remotes / "web-app-standard.git", "log", "--format=%s") == "Start web-app-standard"
    assert side.soma.workloads.sql("select 1 from pg_database where datname = 'web-app-standard'") == []


def test_nothing_is_left_in_the_cloud(ended):
    for side in ended.values():
        for order in side.destroyed.values():
            side.soma.wait_order(order, seconds=SECONDS)
        assert side.client("rds").describe_db_instances()["DBInstances"] == []
        assert side.client("rds").describe_db_subnet_groups()["DBSubnetGroups"] == []
        assert side.client("mq").list_brokers()["BrokerSummaries"] == []
        assert side.client("efs").describe_file_systems()["FileSystems"] == []
        assert side.client("lambda").list_functions()["Functions"] == []
        assert side.client("s3").list_buckets()["Buckets"] == []
        assert side.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
        clusters = side.client("ecs").list_clusters()["clusterArns"]  # the mock keeps those that are gone, as AWS does for a while
        assert not clusters or {c["status"] for c in side.client("ecs").describe_clusters(clusters=clusters)["clusters"]} == {"INACTIVE"}
        assert [group["GroupName"] for group in side.client("ec2").describe_security_groups()["SecurityGroups"]] == ["default"]


@pytest.mark.parametrize("runtime, file", [("python", "index.py"), ("nodejs", "index.mjs")])
def test_the_first_package_of_a_function_is_its_source(runtime, file):
    starter = CHECKOUT / "templates/lambda-function/starter"
    with zipfile.ZipFile(starter / f"{runtime}.zip") as package:
        assert package.namelist() == [file] and package.read(file) == (starter / runtime / file).read_bytes()
