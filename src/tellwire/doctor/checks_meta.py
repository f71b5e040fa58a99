"""PURE. The checks of what Meta says of each account: what can be wrong, with the remedies."""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.doctor.check import Check, Fault

_AGAIN = "tellwire doctor"

META: Mapping[str, Check] = {
    "graph": Check(
        "Meta's Graph API answers.",
        {
            "unreached": Fault(
                "broken",
                "Let this machine reach TELLWIRE_META_GRAPH_URL: its firewall and its DNS.",
                "curl -sSI https://graph.facebook.com",
            ),
        },
    ),
    "token": Check(
        "The account's access token is valid.",
        {
            "missing": Fault(
                "warning",
                "Give the account an access token of a system user: without one nothing is "
                "sent and no media is fetched.",
                "tellwire meta connect",
            ),
            "invalid": Fault(
                "broken",
                "Make a new token for a system user in Meta's Business settings, and give it to the account.",
                "tellwire meta connect",
            ),
            "expires_soon": Fault(
                "warning",
                "Make a token of a system user that never expires, and give it to the account before this one ends.",
                "tellwire meta connect",
            ),
            "unchecked": Fault("unknown", "Try again later; Meta did not say anything about the token.", _AGAIN),
        },
    ),
    "token_scopes": Check(
        "The token has the permissions that are needed.",
        {
            "missing": Fault(
                "broken",
                "Make the token again with the permissions whatsapp_business_messaging and "
                "whatsapp_business_management.",
                "tellwire meta connect",
            ),
        },
    ),
    "number": Check(
        "Meta has the number connected and verified.",
        {
            "not_shown": Fault(
                "broken",
                "Assign the WhatsApp account to the system user of the token with full "
                "control, or correct the account's phone_number_id.",
            ),
            "not_connected": Fault(
                "broken",
                "Register the number with its two-step PIN, or do what WhatsApp Manager asks.",
                "tellwire meta connect --register --pin @FILE",
            ),
            "not_verified": Fault(
                "warning", "Verify the number again in WhatsApp Manager: a code comes by SMS or call."
            ),
            "poor_quality": Fault(
                "warning",
                "Write only to people who expect it: WhatsApp Manager shows what is "
                "reported; a low quality lowers limits.",
            ),
        },
    ),
    "app_secret_at_meta": Check(
        "The app secret belongs to the app of the token.",
        {
            "another": Fault(
                "broken",
                "Compare TELLWIRE_META_APP_SECRET, or the account's app_secret, with the App "
                "Secret that Meta's dashboard shows under App settings, Basic, of the app that the "
                "token is of.",
            ),
        },
    ),
    "app_subscribed": Check(
        "The app is subscribed to the WhatsApp business account.",
        {
            "no_waba": Fault("unknown", "Set the account's waba_id: it says where to look.", "tellwire meta connect"),
            "not": Fault(
                "broken",
                "Subscribe the app to the account: without that nothing arrives, though the test "
                "button of Meta's dashboard works.",
                "tellwire meta connect",
            ),
            "unchecked": Fault("unknown", "Give the token the permission whatsapp_business_management.", _AGAIN),
        },
    ),
    "callback": Check(
        "Meta's callback URL leads here.",
        {
            "elsewhere": Fault("broken", "Set the app's callback URL to this server's.", "tellwire meta connect"),
            "overridden": Fault(
                "broken",
                "Remove the alternate callback URL of the number or of the WhatsApp account "
                "at Meta, or set it to this server's: it goes before the app's.",
            ),
            "none": Fault(
                "broken",
                "Subscribe the app to whatsapp_business_account with this server's callback URL.",
                "tellwire meta connect",
            ),
            "inactive": Fault(
                "broken", "Save the callback URL again: Meta has turned the subscription off.", "tellwire meta connect"
            ),
            "unchecked": Fault(
                "unknown",
                "Set the app secret right, and TELLWIRE_PUBLIC_URL: with both Meta can be asked where it posts.",
                _AGAIN,
            ),
        },
    ),
    "webhook_fields": Check(
        "The app gets the webhook fields that matter.",
        {
            "messages": Fault(
                "broken",
                "Subscribe the field `messages`: without it neither messages nor statuses come.",
                "tellwire meta connect",
            ),
            "others": Fault(
                "warning",
                "Subscribe the fields that the cause names: without them templates and accounts change unseen.",
                "tellwire meta connect",
            ),
        },
    ),
}
"""What the server asks Meta, for each account."""
