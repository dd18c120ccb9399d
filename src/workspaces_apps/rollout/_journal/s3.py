"""Journals in S3: segments that are written only where there is none, and a lease that is replaced only as it was read.

Under ``prefix/name/`` stand ``segments/000000000001`` and so on, ``lease`` and ``control``. What makes it safe are
conditional writes [doc: PutObject, If-None-Match and If-Match], with S3's read-after-write consistency [doc].
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from pydantic import ValidationError

from workspaces_apps._base.logs import relay_warnings
from workspaces_apps._base.text import MESSAGE_LIMIT, harmless
from workspaces_apps._http.config import is_http_url
from workspaces_apps.errors import CREDENTIALS_CODES
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.segments import (
    Lease,
    RealTime,
    SegmentedStore,
    SegmentStorage,
    StoreConfigurationError,
    StoreCredentialsError,
    StoreUnavailableError,
)
from workspaces_apps.rollout._journal.stores import JournalUrl

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

T = TypeVar("T")

_PAGE: Final = 1000
"""Keys of a page of ListObjectsV2 [doc]."""

_AHEAD: Final = 8
"""Pages of a listing that are asked for at a time; the numbers of segments tell where each begins."""

_AT_ONCE: Final = 32
"""Objects that are read at a time."""

_TAKEN: Final = frozenset({"PreconditionFailed", "412"})

_ABSENT: Final = frozenset({"NoSuchKey", "404", "NotFound"})

# 409 is a conditional write that met another one at the same moment: it says nothing about the outcome [doc].
_TRANSIENT: Final = frozenset(
    {
        "SlowDown",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "ConditionalRequestConflict",
        "OperationAborted",
    }
)


_OPERATIONS: Final = frozenset({"GetObject", "PutObject", "ListObjectsV2"})

_ADVICE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`, or name another profile in"
    " AWS_PROFILE or in the journal's URL"
)

_NO_ENDPOINT: Final = "S3 cannot be called: its endpoint URL or its Region is not valid"


class _Body(Protocol):
    async def read(self) -> bytes: ...


class _S3(Protocol):
    """The calls of aiobotocore's S3 client that are made here; it has no types of its own."""

    async def get_object(self, **parameters: object) -> dict[str, object]: ...

    async def put_object(self, **parameters: object) -> dict[str, object]: ...

    async def list_objects_v2(self, **parameters: object) -> dict[str, object]: ...


class _Session(Protocol):
    def create_client(
        self, service: str, *, region_name: str | None, endpoint_url: str | None, config: object
    ) -> AbstractAsyncContextManager[_S3]: ...


async def _side_by_side(work: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Do several things at once; of those that fail the first counts, not the one that fails first."""
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[T] = []
    for one in results:
        if isinstance(one, BaseException):
            raise one
        done.append(one)
    return done


class S3Storage:
    """The objects of one journal; a `SegmentStorage`.

    Args:
        client: The client.
        session: The client's session, which knows what to do about its credentials.
        bucket: The bucket.
        prefix: What every key of the journal begins with, its name included.
        encryption: The parameters of PutObject that ask for server-side encryption.
        page: Keys of a page of a listing, 1 to 1000.
    """

    def __init__(
        self,
        client: _S3,
        session: AioSession,
        bucket: str,
        prefix: str,
        encryption: dict[str, str],
        *,
        page: int = _PAGE,
    ) -> None:
        self._client = client
        self._session = session
        self._bucket = bucket
        self._prefix = prefix
        self._encryption = encryption
        self._page = page

    async def read_lease(self) -> tuple[Lease, str] | None:
        """Return the lease and its ETag."""
        found = await self._get("lease")
        if found is None:
            return None
        try:
            return Lease.model_validate_json(found[0]), found[1]
        except ValidationError:
            raise JournalError(f"s3://{self._bucket}/{self._prefix}lease is no lease of a journal") from None

    async def write_lease(self, lease: Lease, *, instead_of: str | None) -> str | None:
        """Write the lease in the place of the one with that ETag."""
        return await self._put("lease", lease.model_dump_json().encode(), instead_of)

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:  # noqa: ARG002 - the numbers fence
        """Write a segment where there is none."""
        return await self._put(_segment(number), body, None) is not None

    async def get(self, number: int) -> bytes | None:
        """Return a segment."""
        found = await self._get(_segment(number))
        return found[0] if found is not None else None

    async def read(self, first: int) -> Sequence[bytes]:
        """Return the segments from a number on, several pages and many objects at a time."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def body(number: int) -> bytes:
            async with gate:
                found = await self.get(number)
            if found is None:
                raise JournalError(f"segment {number} of s3://{self._bucket}/{self._prefix} is missing")
            return found

        count, pages = 0, 1
        while True:
            starts = [first + count + page * self._page for page in range(pages)]
            listed = await _side_by_side(map(self._listed_from, starts))
            count += sum(length for length, _ in listed)
            if not all(more for _, more in listed):
                break
            # The first page was not the last, so there may be many.
            pages = _AHEAD
        return await _side_by_side(map(body, range(first, first + count)))

    async def read_control(self) -> tuple[bytes, str] | None:
        """Return the control record and its ETag."""
        return await self._get("control")

    async def write_control(self, content: bytes, *, instead_of: str | None) -> bool:
        """Write the control record in the place of the one with that ETag."""
        return await self._put("control", content, instead_of) is not None

    async def _listed_from(self, number: int) -> tuple[int, bool]:
        """Return how many segments stand from a number on, at most a page of them, and if S3 has more.

        An answer may have fewer keys than were asked for although there are more [doc: ListObjectsV2, MaxKeys].

        Raises:
            JournalError: A number between them is missing.
        """
        count, more = 0, True
        place = {"StartAfter": f"{self._prefix}{_segment(number - 1)}"}
        while more and count < self._page:
            answer = await self._ask(
                self._client.list_objects_v2(
                    Bucket=self._bucket,
                    Prefix=f"{self._prefix}segments/",
                    MaxKeys=self._page - count,
                    **place,
                )
            )
            rows = cast("list[dict[str, str]]", answer.get("Contents", []))
            keys = [row["Key"].removeprefix(self._prefix) for row in rows]
            wanted = [_segment(one) for one in range(number + count, number + count + len(keys))]
            if keys != wanted:
                missing = next(want for key, want in zip(keys, wanted, strict=True) if key != want)
                raise JournalError(
                    f"s3://{self._bucket}/{self._prefix}{missing} is missing, or another stands in its place"
                )
            count += len(keys)
            more = answer.get("IsTruncated") is True
            place = {"ContinuationToken": str(answer.get("NextContinuationToken"))}
        return count, more

    async def _get(self, key: str) -> tuple[bytes, str] | None:
        async def get() -> tuple[bytes, str]:
            answer = await self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{key}")
            return await cast("_Body", answer["Body"]).read(), str(answer["ETag"])

        try:
            return await self._ask(get())
        except _AbsentError:
            return None

    async def _put(self, key: str, body: bytes, instead_of: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of}
        try:
            answer = await self._ask(
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=f"{self._prefix}{key}",
                    Body=body,
                    **condition,
                    **self._encryption,
                )
            )
        except (_TakenError, _AbsentError):
            return None
        return str(answer["ETag"])

    async def _ask(self, call: Awaitable[T]) -> T:
        """Make one call, and sort its errors."""
        from botocore import exceptions

        try:
            return await call
        except exceptions.ClientError as error:
            answer = cast("dict[str, dict[str, object]]", error.response)
            code = str(answer.get("Error", {}).get("Code", ""))
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _TAKEN:
                raise _TakenError from error
            if code in _ABSENT:
                raise _AbsentError from error
            if code in _TRANSIENT or (isinstance(status, int) and status >= 500):
                raise StoreUnavailableError(f"S3 answers {code or status}") from error
            # Whoever is asked for credentials on the way to S3 answers as another operation.
            if code in CREDENTIALS_CODES or error.operation_name not in _OPERATIONS:
                raise _refusal(self._session, error) from error
            raise JournalError(f"S3 refuses the bucket {self._bucket}: {code or status}") from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError, OSError) as error:
            raise StoreUnavailableError(f"S3 does not answer ({type(error).__name__})") from error
        except exceptions.BotoCoreError as error:
            raise _refusal(self._session, error) from error


def _refusal(session: AioSession, error: Exception) -> JournalError:
    """Return what keeps S3 from being called as an error of this package."""
    from botocore import exceptions

    from workspaces_apps._http.credentials import load_failure

    if isinstance(
        error,
        exceptions.ClientError
        | exceptions.NoCredentialsError
        | exceptions.PartialCredentialsError
        | exceptions.CredentialRetrievalError
        | exceptions.MetadataRetrievalError
        | exceptions.RefreshWithMFAUnsupportedError
        | exceptions.UnknownCredentialError
        | exceptions.SSOError
        | exceptions.TokenRetrievalError
        | exceptions.LoginError,
    ):
        return StoreCredentialsError(f"S3 cannot be called: {load_failure(session, error, _ADVICE).message}")
    if isinstance(error, exceptions.ProfileNotFound):
        return StoreConfigurationError(
            f"{error}. Check profile in the journal's URL, AWS_PROFILE and ~/.aws/config"
        )
    if isinstance(error, exceptions.NoRegionError):
        return StoreConfigurationError(
            "no AWS Region for S3: add region=eu-west-1 to the journal's URL, or set AWS_DEFAULT_REGION, or `region` in"
            " the profile"
        )
    if isinstance(error, exceptions.EndpointProviderError):
        # Its words hold the endpoint too.
        return StoreConfigurationError(_NO_ENDPOINT)
    said = f"S3 cannot be called: {harmless(error, MESSAGE_LIMIT)}"
    is_configuration = isinstance(
        error,
        exceptions.ParamValidationError
        | exceptions.ValidationError
        | exceptions.ConfigNotFound
        | exceptions.ConfigParseError
        | exceptions.InvalidConfigError,
    )
    return StoreConfigurationError(said) if is_configuration else JournalError(said)


class _TakenError(Exception):
    """Another object stands there."""


class _AbsentError(Exception):
    """There is no such object."""


def _segment(number: int) -> str:
    return f"segments/{number:012}"


def s3_store(
    url: JournalUrl,
    *,
    real_time: RealTime = RealTime(),  # noqa: B008 - frozen
    page: int = _PAGE,
) -> SegmentedStore:
    """Return the store of an S3 URL.

    Its credentials, Region and endpoint are found as those of every AWS tool, ``AWS_ENDPOINT_URL_S3`` included.

    Args:
        url: The URL. Its options: ``region``, ``profile``, ``endpoint_url``; ``sse`` (``AES256``, ``aws:kms`` or
            ``aws:kms:dsse``) and ``kms_key_id`` for server-side encryption with another key than the bucket's.
        real_time: The time that leases run on.
        page: Keys of a page of a listing, 1 to 1000.

    Raises:
        JournalError: Its endpoint is none.
    """
    options = url.options
    encryption: dict[str, str] = {}
    if "kms_key_id" in options:
        encryption = {
            "ServerSideEncryption": options.get("sse", "aws:kms"),
            "SSEKMSKeyId": options["kms_key_id"],
        }
    elif "sse" in options:
        encryption = {"ServerSideEncryption": options["sse"]}
    endpoint = options.get("endpoint_url")
    if endpoint is not None and ("@" in endpoint or not is_http_url(endpoint)):
        raise StoreConfigurationError(
            f"endpoint_url of {url} is no URL of http or https, or has a user or a password"
        )
    bucket, _, prefix = url.place.partition("/")

    @asynccontextmanager
    async def connect(name: str) -> AsyncGenerator[SegmentStorage, None]:
        from aiobotocore.config import AioConfig
        from aiobotocore.session import AioSession
        from botocore.exceptions import BotoCoreError

        relay_warnings()
        # One retry layer, and it is ours: a segment is tried until its outcome is known.
        config = AioConfig(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=10,
            max_pool_connections=_AT_ONCE + 4,
        )
        session = AioSession(profile=options.get("profile"))
        try:
            made = cast("_Session", session).create_client(
                "s3",
                region_name=options.get("region"),
                endpoint_url=endpoint,
                config=config,
            )
            client = await made.__aenter__()
        except BotoCoreError as error:
            raise _refusal(session, error) from error
        except ValueError:
            # An endpoint of the environment or the profile; its words hold it, and it may hold a password.
            raise StoreConfigurationError(_NO_ENDPOINT) from None
        try:
            key = f"{prefix}/{name}/" if prefix else f"{name}/"
            yield S3Storage(client, session, bucket, key, encryption, page=page)
        finally:
            await made.__aexit__(None, None, None)

    return SegmentedStore(connect, where=url.shown, real_time=real_time)
