"""A server that speaks S3, with one bucket, and machines that keep their artifacts in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiger_pipeline_tests.end_to_end.shop import Shop

BUCKET = "artifacts"
URL = f"s3://{BUCKET}/some/prefix"
SECRET = "a-secret-that-is-shown-nowhere"


@dataclass(frozen=True)
class Bucket:
    """The bucket of a running server.

    Attributes:
        environment: variables under which any S3 client finds the server.
        client: one of boto3, which is not what the pipeline uses.
    """

    environment: dict[str, str]
    client: Any

    def objects(self, prefix: str = "") -> dict[str, int]:
        """Sizes of the objects below the store's URL, by their keys."""
        start = f"some/prefix/{prefix}"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=start)
        found = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix("some/prefix/"): item["Size"] for item in found}


@contextmanager
def bucket_server() -> Iterator[Bucket]:
    """Run the server in a thread until the block ends."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=BUCKET)
    try:
        yield Bucket(environment, client)
    finally:
        server.stop()


def machine(shop: Shop, bucket: Bucket, copies: Path) -> Shop:
    """The shop as another machine sees it: its store is the bucket, its local copies its own."""
    places = {"TIGER_STORE": URL, "TIGER_CACHE": str(copies)}
    return replace(shop, environment={**shop.environment, **bucket.environment, **places})
