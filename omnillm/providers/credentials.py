"""Credentials that a cloud's own library finds and renews: a key by reference to them.

A ``KeyConfig`` takes one in the place of a key. Nothing is looked up when one is made: the library does that when the key first
signs a request, and it is then that it reads what it is told to (files, the environment, the metadata of a machine).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """Be a reference to credentials; it pickles unless it holds the object itself."""

    def __call__(self) -> str:
        """Give the text that stands for them; it opens nothing."""
        return f"by-reference:{type(self).__name__}"


@dataclass(frozen=True, slots=True)
class AwsCredentials(CredentialReference):
    """Refer to the AWS credentials of a profile, of botocore's default chain, or to an object of botocore's.

    The chain is the environment (``AWS_ACCESS_KEY_ID``, …), shared files, SSO, container and machine roles; what expires is
    renewed.
    """

    profile: str | None = None
    credentials: Any = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.profile is not None and not (isinstance(self.profile, str) and self.profile):
            raise ConfigurationError("profile: expected the name of a profile", field="profile")
        if self.credentials is not None and not callable(getattr(self.credentials, "get_frozen_credentials", None)):
            raise ConfigurationError("credentials: expected botocore.credentials.Credentials", field="credentials")
        _only_one(self.profile, "profile", self.credentials)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.profile,)) if self.credentials is None else _refuse("AwsCredentials(profile)")


@dataclass(frozen=True, slots=True)
class GoogleCredentials(CredentialReference):
    """Refer to a file of Google credentials, to the application-default ones, or to an object of google-auth's.

    A file is a service account's, a user's or a workload identity's. The default ones are looked for as Google's own libraries
    do.
    """

    file: str | os.PathLike[str] | None = None
    credentials: Any = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.file is not None and not (isinstance(self.file, str | os.PathLike) and os.fspath(self.file)):
            raise ConfigurationError("file: expected the path of a file with credentials", field="file")
        if self.credentials is not None and not callable(getattr(self.credentials, "refresh", None)):
            raise ConfigurationError("credentials: expected google.auth.credentials.Credentials", field="credentials")
        _only_one(self.file, "file", self.credentials)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.file,)) if self.credentials is None else _refuse("GoogleCredentials(file)")


def _only_one(reference: object, name: str, credentials: object) -> None:
    if reference is not None and credentials is not None:
        raise ConfigurationError(f"credentials: expected either this or {name}, not both", field="credentials")


def _refuse(instead: str) -> NoReturn:
    raise ConfigurationError(f"credentials: an object does not pickle: use {instead}", field="credentials") from None
