"""Settings of the workspace that are not kept elsewhere, with their defaults. Source: rocketchat-api 2.1, 6.1, 7.1.

Which settings are public was read in the server's `settings/*.ts`; all others need `view-privileged-setting`.
Those that the simulation models show and change what it does; the others only show what they were set to.
"""

from __future__ import annotations

from typing import Any

PUBLIC = frozenset(
    {
        "Livechat_enabled",
        "Livechat_Routing_Method",
        "Livechat_enabled_when_agent_idle",
        "Livechat_request_comment_when_closing_conversation",
        "Livechat_enable_business_hours",
        "Livechat_show_agent_info",
        "Message_MaxAllowedSize",
        "Hide_System_Messages",
        "Accounts_CustomFields",
        "Accounts_AllowUserAvatarChange",
        "Accounts_AvatarBlockUnauthenticatedAccess",
        "UTF8_User_Names_Validation",
        "UI_Use_Real_Name",
        "FileUpload_MaxFileSize",
        "Site_Url",
    }
)

HIDDEN_BY_THE_WIDGET = ("uj", "ul", "livechat-close")

ENTERPRISE: dict[str, Any] = {
    "Livechat_waiting_queue": False,
    "Livechat_Require_Contact_Verification": "never",
    "Livechat_hide_system_messages": [*HIDDEN_BY_THE_WIDGET],
}
"""What these are without a licence, whatever they were set to."""

DEFAULTS: dict[str, Any] = {
    "Livechat_enabled": True,
    "Livechat_enabled_when_agent_idle": True,
    "Livechat_request_comment_when_closing_conversation": True,
    "Livechat_enable_business_hours": False,
    "Livechat_show_agent_info": True,
    "Livechat_agent_leave_action": "none",
    "Livechat_agent_leave_action_timeout": 60,
    "Livechat_agent_leave_comment": "",
    "Livechat_waiting_queue": False,
    "Livechat_maximum_chats_per_agent": 0,
    "Livechat_Require_Contact_Verification": "never",
    "Livechat_fileupload_enabled": True,
    "Livechat_hide_system_messages": [*HIDDEN_BY_THE_WIDGET],
    "Livechat_lead_email_regex": r"\b[A-Z0-9._%+-]+@(?:[A-Z0-9-]+\.)+[A-Z]{2,4}\b",
    "Livechat_lead_phone_regex": (
        r"(?:\([0-9]{1,3}\)|[0-9]{2})[ \-]*?[0-9]{4,5}(?:[\-\s\_]{1,2})?[0-9]{4}(?:(?=[^0-9])|$)"
    ),
    "Livechat_Visitor_navigation_as_a_message": False,
    "Send_visitor_navigation_history_livechat_webhook_request": False,
    "Omnichannel_queue_delay_timeout": 5,
    "Omnichannel_enable_department_removal": False,
    "Omnichannel_allow_visitors_to_close_conversation": True,
    "Omnichannel_allow_force_close_conversations": False,
    "Omnichannel_Metrics_Ignore_Automatic_Messages": False,
    "Message_MaxAllowedSize": 5000,
    "Message_AllowEditing": True,
    "Message_AllowDeleting": True,
    "Message_KeepHistory": False,
    "Message_ShowDeletedStatus": False,
    "Message_CustomFields_Enabled": False,
    "Message_CustomFields": "",
    "Hide_System_Messages": [],
    "Accounts_CustomFields": "",
    "Accounts_SearchFields": "username, name, bio, nickname",
    "Accounts_EmailVerification": False,
    "Accounts_AvatarCacheTime": 3600,
    "Accounts_AvatarBlockUnauthenticatedAccess": False,
    "Accounts_AvatarExternalProviderUrl": "",
    "Accounts_SetDefaultAvatar": True,
    "Accounts_AllowUserAvatarChange": True,
    "Accounts_AllowUserStatusMessageChange": True,
    "Accounts_AllowInvisibleStatusOption": True,
    "Accounts_LoginExpiration": 90,
    "Accounts_Password_Policy_Enabled": True,
    "Accounts_TwoFactorAuthentication_Enabled": True,
    "Accounts_TwoFactorAuthentication_By_TOTP_Enabled": True,
    "Accounts_TwoFactorAuthentication_By_Email_Enabled": True,
    "Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In": True,
    "Accounts_TwoFactorAuthentication_Enforce_Password_Fallback": True,
    "Accounts_TwoFactorAuthentication_RememberFor": 1800,
    "API_Apply_permission_view-outside-room_on_users-list": False,
    "API_Enable_Rate_Limiter_Dev": True,
    "API_Enable_Rate_Limiter_Limit_Calls_Default": 10,
    "API_Enable_Rate_Limiter_Limit_Time_Default": 60_000,
    "FileUpload_Enabled": True,
    "FileUpload_MaxFileSize": 104_857_600,
    "FileUpload_ProtectFiles": True,
    "FileUpload_Restrict_to_room_members": True,
    "FileUpload_Restrict_to_users_who_can_access_room": False,
    "FileUpload_MediaTypeWhiteList": "",
    "FileUpload_MediaTypeBlackList": "image/svg+xml",
    "SSRF_Allowlist": "",
    "Site_Url": "http://localhost:3000",
    "UI_Use_Real_Name": False,
    "UTF8_User_Names_Validation": "[0-9a-zA-Z-_.]+",
}
