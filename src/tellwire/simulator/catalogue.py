"""PURE but for the `Random` of the customer. One of every kind of webhook that Meta makes, by name.

What a customer does is in `customer`; `catalogue_shapes` makes the rest.
"""

from __future__ import annotations

from tellwire.simulator.catalogue_shapes import (
    AD,
    FLAGS,
    FLOW,
    GROUP,
    LEARNED,
    ORDER,
    PICKED,
    TEMPLATE,
    UNKNOWN,
    Trigger,
    address_book,
    call_of,
    group,
    handover,
    history_of,
    message_of,
    named,
    new_user_id,
    notice_of,
    of_customer,
    of_number,
    preference,
    settings,
    status_of,
    system,
    text_of,
)

TRIGGERS: dict[str, Trigger] = {
    "text": Trigger("a customer writes", of_customer("text")),
    "text.reply": Trigger("a customer answers a message", of_customer("reply")),
    "text.from_ad": Trigger(
        "a customer writes from an advertisement", message_of("text", {"body": "Is it still there?"}, referral=AD)
    ),
    "text.group": Trigger(
        "somebody writes in a group", message_of("text", {"body": "Hello everybody"}, group_id=GROUP)
    ),
    "image": Trigger("a customer sends an image", of_customer("image")),
    "video": Trigger("a customer sends a video", of_customer("video")),
    "audio": Trigger("a customer sends a voice message", of_customer("audio")),
    "voice": Trigger(
        "the older form of a voice message",
        message_of("voice", {"id": "700000000000901", "mime_type": "audio/ogg; codecs=opus", "sha256": "dGVzdA=="}),
    ),
    "document": Trigger("a customer sends a document", of_customer("document")),
    "sticker": Trigger("a customer sends a sticker", of_customer("sticker")),
    "media_placeholder": Trigger("a file that Meta leaves out of the history", message_of("media_placeholder", None)),
    "location": Trigger("a customer sends where they are", of_customer("location")),
    "contacts": Trigger("a customer sends a contact card", of_customer("contacts")),
    "reaction": Trigger("a customer reacts to a message", of_customer("reaction")),
    "interactive": Trigger("a customer taps a reply button", of_customer("interactive")),
    "interactive.list": Trigger("a customer picks a row of a list", message_of("interactive", PICKED, reply=True)),
    "interactive.flow": Trigger(
        "a customer completes a flow", message_of("interactive", {"type": "nfm_reply", "nfm_reply": FLOW}, reply=True)
    ),
    "button": Trigger(
        "a customer presses a template's button", message_of("button", {"payload": "STOP", "text": "Stop"}, reply=True)
    ),
    "order": Trigger("a customer orders from the catalogue", message_of("order", ORDER)),
    "request_welcome": Trigger("a customer opens the chat for the first time", message_of("request_welcome", None)),
    "system": Trigger("a customer has a new number", system("user_changed_number", wa_id="5215500000077")),
    "system.identity": Trigger(
        "a customer has perhaps a new device", system("customer_identity_changed", identity="HASH=")
    ),
    "edit": Trigger("a customer changes a message", of_customer("edit")),
    "revoke": Trigger("a customer deletes a message", of_customer("revoke")),
    "unsupported": Trigger("a customer does what the Cloud API does not support", of_customer("unsupported")),
    "unknown": Trigger("the older form of that", message_of("unknown", None, errors=UNKNOWN)),
    "status": Trigger("a message is sent, delivered and read", of_customer("status")),
    "status.sent": Trigger("a message is sent", status_of("sent")),
    "status.delivered": Trigger("a message is delivered", status_of("delivered")),
    "status.read": Trigger("a message is read", status_of("read")),
    "status.played": Trigger("a voice message is played", status_of("played")),
    "status.failed": Trigger("a message fails with 131026", of_customer("failure")),
    "smb_message_echoes": Trigger(
        "the business answers with the phone app",
        of_number(
            "smb_message_echoes", lambda c, at: {"message_echoes": [text_of(c, at, "Yes, at eight", outgoing=True)]}
        ),
    ),
    "smb_app_state_sync": Trigger(
        "the phone app's address book has somebody new", of_number("smb_app_state_sync", address_book)
    ),
    "history": Trigger("past messages of the phone app", of_number("history", history_of)),
    "standby": Trigger(
        "a message while another app has the thread",
        of_number("standby", lambda c, at: {"standby": {"messages": [text_of(c, at, "Hello?")]}}),
    ),
    "messaging_handovers": Trigger("another app passes the thread", notice_of("messaging_handovers", handover)),
    "calls": Trigger(
        "a customer calls",
        of_number("calls", call_of("connect", session={"sdp_type": "offer", "sdp": "v=0\r\n"}), known=True),
    ),
    "calls.terminate": Trigger(
        "a call ends", of_number("calls", call_of("terminate", status=["COMPLETED"], duration=60), known=True)
    ),
    "user_id_update": Trigger("a person's user id changes", of_number("user_id_update", new_user_id, known=True)),
    "user_preferences": Trigger(
        "a person wants no more marketing", of_number("user_preferences", preference("stop"), known=True)
    ),
    "user_preferences.resume": Trigger(
        "a person wants marketing again", of_number("user_preferences", preference("resume"), known=True)
    ),
    "message_template_status_update": Trigger(
        "a template is approved",
        notice_of("message_template_status_update", {"event": "APPROVED", **TEMPLATE, "reason": None}),
    ),
    "message_template_status_update.rejected": Trigger(
        "a template is rejected",
        notice_of("message_template_status_update", {"event": "REJECTED", **TEMPLATE, "reason": "SCAM"}),
    ),
    "message_template_quality_update": Trigger(
        "a template's quality falls",
        notice_of(
            "message_template_quality_update",
            {"previous_quality_score": "GREEN", "new_quality_score": "YELLOW", **TEMPLATE},
        ),
    ),
    "message_template_components_update": Trigger(
        "a template is edited",
        notice_of("message_template_components_update", {**TEMPLATE, "message_template_element": "It is ready"}),
    ),
    "template_category_update": Trigger(
        "a template gets another category",
        notice_of(
            "template_category_update", {**TEMPLATE, "previous_category": "UTILITY", "new_category": "MARKETING"}
        ),
    ),
    "account_update": Trigger(
        "the account is restricted",
        notice_of(
            "account_update",
            lambda _, at: {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [
                    {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": at + 86_400}
                ],
            },
        ),
    ),
    "account_alerts": Trigger(
        "an alert about the account",
        notice_of(
            "account_alerts",
            lambda c, _: {
                "entity_type": "WABA",
                "entity_id": c.business.waba_id,
                **FLAGS,
                "alert_description": "Rejected",
            },
        ),
    ),
    "account_review_update": Trigger(
        "the account's review ends", notice_of("account_review_update", {"decision": "APPROVED"})
    ),
    "account_settings_update": Trigger(
        "a setting of the number changes", notice_of("account_settings_update", settings)
    ),
    "business_capability_update": Trigger(
        "the messaging limit changes",
        notice_of(
            "business_capability_update",
            {"max_daily_conversations_per_business": "TIER_2K", "max_phone_numbers_per_waba": 5},
        ),
    ),
    "business_username_update": Trigger(
        "the business's username is approved",
        notice_of("business_username_update", named(username="corner_shop", status="approved")),
    ),
    "business_username_updates": Trigger(
        "the same in its other spelling",
        notice_of("business_username_updates", named(username="corner_shop", status="reserved")),
    ),
    "phone_number_name_update": Trigger(
        "the number's name is approved",
        notice_of(
            "phone_number_name_update",
            named(decision="APPROVED", requested_verified_name="Corner shop", rejection_reason=None),
        ),
    ),
    "phone_number_quality_update": Trigger(
        "the number's quality is flagged",
        notice_of("phone_number_quality_update", named(event="FLAGGED", current_limit="TIER_10K")),
    ),
    "security": Trigger(
        "the number's PIN is changed", notice_of("security", named(event="PIN_CHANGED", requester="300000000000001"))
    ),
    "flows": Trigger(
        "a flow is published",
        notice_of(
            "flows",
            {
                "event": "FLOW_STATUS_CHANGE",
                "message": "Published",
                "flow_id": "100000000000001",
                "old_status": "DRAFT",
                "new_status": "PUBLISHED",
            },
        ),
    ),
    "partner_solutions": Trigger(
        "a partner's solution is made",
        notice_of(
            "partner_solutions",
            {"event": "SOLUTION_CREATED", "solution_id": "200000000000001", "solution_status": "INITIATED"},
        ),
    ),
    "payment_configuration_update": Trigger(
        "a payment configuration is active",
        notice_of(
            "payment_configuration_update",
            lambda _, at: {
                "configuration_name": "cards",
                "provider_name": "example",
                "provider_mid": "mid-1",
                "status": "Active",
                "created_timestamp": at,
                "updated_timestamp": at,
            },
        ),
    ),
    "automatic_events": Trigger(
        "Meta sees a lead in the chat",
        of_number(
            "automatic_events",
            lambda c, at: {"automatic_events": [{"id": c.sent_message(), "timestamp": str(at), **LEARNED}]},
        ),
    ),
    "tracking_events": Trigger(
        "an event of an advertisement",
        of_number("tracking_events", lambda _, at: {"events": [{"event_name": "AddToCart", "timestamp": at}]}),
    ),
    "group_lifecycle_update": Trigger(
        "a group is made",
        of_number(
            "group_lifecycle_update",
            group("group_create", request_id="r-1", subject="Bakers", invite_link="https://chat.example/1"),
        ),
    ),
    "group_participants_update": Trigger(
        "somebody joins a group",
        of_number(
            "group_participants_update",
            lambda c, at: group(
                "group_participants_add", reason="invite_link", added_participants=[{"wa_id": c.person.wa_id}]
            )(c, at),
        ),
    ),
    "group_settings_update": Trigger(
        "a group is renamed",
        of_number(
            "group_settings_update",
            group("group_settings_update", request_id="r-2", group_subject={"text": "Oven", "update_successful": True}),
        ),
    ),
    "group_status_update": Trigger("a group is suspended", of_number("group_status_update", group("group_suspend"))),
}
"""What `tellwire trigger` takes, by name: a message type, a status, or a webhook field, with its kind behind a dot."""
