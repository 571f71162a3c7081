"""Protos to domain and back, nothing else."""

from __future__ import annotations

from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import timestamp_pb2

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc, profile_pb2
from eros_accounts import wire
from eros_accounts.keyring import KeyRing
from eros_accounts.leaving import Leaving
from eros_accounts.profiles import PersonDraft, Profiles
from eros_accounts.signin import SignIn
from eros_common.auth import current_user
from eros_common.errors import FieldFault, InvalidArgument
from eros_common.idempotency import once_of
from eros_common.ids import SessionId, parse_user_id, user_ids_from_bytes
from eros_common.raw import enclosed

Context = grpc.aio.ServicerContext[Any, Any]


class AccountsServicer(accounts_pb2_grpc.AccountsServiceServicer):
    """``eros.accounts.v1.AccountsService``."""

    def __init__(
        self, sign_in: SignIn, profiles: Profiles, leaving: Leaving, keys: KeyRing
    ) -> None:
        self._sign_in = sign_in
        self._profiles = profiles
        self._leaving = leaving
        self._keys = keys

    async def Register(
        self, request: accounts_pb2.RegisterRequest, context: Context
    ) -> accounts_pb2.RegisterResponse:
        # Not the password: of that no quick digest is kept.
        once = once_of(context, request.email.strip().lower(), request.name)
        signed_in = await self._sign_in.register(
            request.email, request.password, request.name, once
        )
        return accounts_pb2.RegisterResponse(
            success=True,
            user_id=str(signed_in.user_id),
            token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
        )

    async def Login(
        self, request: accounts_pb2.LoginRequest, _: Context
    ) -> accounts_pb2.LoginResponse:
        signed_in = await self._sign_in.login(request.email, request.password)
        return accounts_pb2.LoginResponse(
            success=True,
            user_id=str(signed_in.user_id),
            token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
        )

    async def Refresh(
        self, request: accounts_pb2.RefreshRequest, _: Context
    ) -> accounts_pb2.RefreshResponse:
        signed_in = await self._sign_in.refresh(request.refresh_token)
        return accounts_pb2.RefreshResponse(
            success=True, token=signed_in.access_token, refresh_token=signed_in.refresh_token
        )

    async def Logout(
        self, _: accounts_pb2.LogoutRequest, __: Context
    ) -> accounts_pb2.LogoutResponse:
        await self._sign_in.logout(current_user().session_id)
        return accounts_pb2.LogoutResponse(success=True, message="you are signed out")

    async def EndSession(
        self, request: accounts_pb2.EndSessionRequest, _: Context
    ) -> accounts_pb2.EndSessionResponse:
        await self._sign_in.logout(SessionId(request.session_id))
        return accounts_pb2.EndSessionResponse()

    async def GetProfile(
        self, _: accounts_pb2.GetProfileRequest, __: Context
    ) -> accounts_pb2.GetProfileResponse:
        return wire.own_of(await self._profiles.own(current_user().user_id))

    async def UpdateProfile(
        self, request: profile_pb2.UpdateProfileRequest, _: Context
    ) -> accounts_pb2.UpdateProfileResponse:
        profile = await self._profiles.change(current_user().user_id, wire.draft(request))
        return accounts_pb2.UpdateProfileResponse(success=True, profile=profile)

    async def ExportProfile(
        self, _: accounts_pb2.ExportProfileRequest, context: Context
    ) -> accounts_pb2.ExportProfileResponse:
        user_id = current_user().user_id
        # The person's own token asks for what activity knows.
        metadata = dict(context.invocation_metadata() or ())
        data = await self._leaving.export(user_id, str(metadata["authorization"]))
        answer = accounts_pb2.ExportProfileResponse(success=True, user_id=str(user_id))
        answer.exported_at.GetCurrentTime()
        answer.data.update(data)
        return answer

    async def DeleteProfile(
        self, _: accounts_pb2.DeleteProfileRequest, __: Context
    ) -> accounts_pb2.DeleteProfileResponse:
        await self._leaving.delete(current_user().user_id)
        return accounts_pb2.DeleteProfileResponse(
            success=True, message="your account and everything in it is deleted"
        )

    async def GetPublicProfile(
        self, request: accounts_pb2.GetPublicProfileRequest, _: Context
    ) -> Any:  # Raw, which no generated type knows
        try:
            user_id = parse_user_id(request.user_id)
        except ValueError as error:
            raise InvalidArgument(f"userId {error}", FieldFault("userId", str(error))) from None
        profile = await self._profiles.public(current_user().user_id, user_id)
        return enclosed(accounts_pb2.GetPublicProfileResponse(success=True), "profile", profile)

    async def GetJwks(self, _: accounts_pb2.GetJwksRequest, __: Context) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._keys.document)

    async def ListMatchingProfiles(
        self, request: accounts_pb2.ListMatchingProfilesRequest, _: Context
    ) -> accounts_pb2.ListMatchingProfilesResponse:
        profiles = await self._profiles.matching(user_ids_from_bytes(request.user_ids))
        return accounts_pb2.ListMatchingProfilesResponse(profiles=profiles)

    async def ImportAccounts(
        self, request: accounts_pb2.ImportAccountsRequest, _: Context
    ) -> accounts_pb2.ImportAccountsResponse:
        imported = await self._profiles.create(
            request.source,
            (
                PersonDraft(
                    account.external_id,
                    account.email if account.HasField("email") else None,
                    wire.draft(account.profile),
                )
                for account in request.accounts
            ),
        )
        return accounts_pb2.ImportAccountsResponse(
            user_ids=[user_id.bytes for user_id in imported.user_ids], created=imported.created
        )

    async def GrantAdmin(
        self, request: accounts_pb2.GrantAdminRequest, _: Context
    ) -> accounts_pb2.GrantAdminResponse:
        user_id, granted_at = await self._sign_in.grant_admin(request.email)
        stamp = timestamp_pb2.Timestamp()
        stamp.FromDatetime(granted_at)
        return accounts_pb2.GrantAdminResponse(user_id=str(user_id), granted_at=stamp)
