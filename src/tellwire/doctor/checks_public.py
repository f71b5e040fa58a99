"""PURE. The checks of the public URL: what can be wrong, with the remedies."""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.doctor.check import Check, Fault

_AGAIN = "tellwire doctor"

PUBLIC: Mapping[str, Check] = {
    "public_url": Check(
        "PUBLIC_URL is one that Meta takes.",
        {
            "unset": Fault(
                "warning",
                "Set TELLWIRE_PUBLIC_URL to the https address at which Meta reaches this "
                "server, such as https://hooks.example.com.",
            ),
            "not_https": Fault(
                "broken",
                "Let TELLWIRE_PUBLIC_URL begin with https://: Meta posts to nothing else. A "
                "proxy such as Caddy or nginx ends TLS.",
            ),
            "other_port": Fault(
                "broken", "Let the proxy listen on port 443 and take the port out of TELLWIRE_PUBLIC_URL."
            ),
            "not_a_public_name": Fault(
                "broken",
                "Give the server a name in public DNS: Meta reaches no bare address, "
                "no single word and none of .local, .internal or .test. For trying out, a "
                "tunnel has such a name.",
            ),
            "path": Fault(
                "warning",
                "Prefer a host of its own. Else the proxy has to take the path off before it "
                "passes a request on, and Meta's callback URL needs the path too.",
            ),
        },
    ),
    "public_address": Check(
        "The public name leads to a public address.",
        {
            "unresolved": Fault(
                "broken", "Add an A or AAAA record for the name, and wait until it is known.", "dig +short {host}"
            ),
            "private": Fault(
                "broken",
                "Let the name lead to a public address: nobody outside reaches a private one.",
                "dig +short {host}",
            ),
        },
    ),
    "public_connection": Check(
        "The public address accepts connections.",
        {
            "refused": Fault(
                "broken",
                "Start the proxy, open port 443 in the firewall, or forward it. If only this "
                "machine cannot reach its own public address, check from outside.",
                "curl -sS {url}/livez",
            ),
        },
    ),
    "certificate": Check(
        "The TLS certificate is trusted and lasts.",
        {
            "untrusted": Fault(
                "broken",
                "Give the proxy a certificate of a known authority for this name, with the "
                "intermediate certificates (`fullchain.pem`): Meta takes no self-signed one.",
                "openssl s_client -connect {host}:443 -servername {host}",
            ),
            "expires_soon": Fault(
                "warning",
                "Renew the certificate, and see why it is not renewed by itself.",
                "openssl s_client -connect {host}:443 -servername {host}",
            ),
        },
    ),
    "public_answer": Check(
        "The public URL leads to this server.",
        {
            "redirected": Fault(
                "broken",
                "Let the proxy answer without redirecting, and give Meta the final URL: Meta follows no redirect.",
                "curl -sSi {url}/livez",
            ),
            "another": Fault(
                "broken",
                "Let the proxy pass every path on to the server's HOST and PORT, unchanged.",
                "curl -sSi {url}/livez",
            ),
        },
    ),
    "allowed_hosts": Check(
        "ALLOWED_HOSTS has the public name.",
        {
            "missing": Fault("broken", "Add the public name to TELLWIRE_ALLOWED_HOSTS and start the server again."),
        },
    ),
    "verify_token": Check(
        "The handshake works with META_VERIFY_TOKEN.",
        {
            "unset": Fault(
                "broken",
                "Set TELLWIRE_META_VERIFY_TOKEN to a word of your own, start the server again, "
                "and enter the same word in Meta's dashboard.",
                "openssl rand -hex 16",
            ),
            "refused": Fault(
                "broken",
                "Let the path and the query reach this server as they are, and no other server "
                "answer at this URL: another verify token is set where the request arrived.",
            ),
            "altered": Fault(
                "broken",
                "Let the proxy pass the answer on as it is: Meta compares it with the challenge, byte for byte.",
            ),
            "unreached": Fault("unknown", "Mend what keeps the URL from being reached first.", _AGAIN),
        },
    ),
    "app_secret": Check(
        "POSTs signed with the app secret are taken, and others are refused.",
        {
            "unset": Fault(
                "broken",
                "Set TELLWIRE_META_APP_SECRET to the App Secret that Meta's dashboard shows under "
                "App settings, Basic, and start the server again.",
            ),
            "refused": Fault(
                "broken",
                "Let the proxy pass bodies and the header X-Hub-Signature-256 on unchanged, and "
                "no other server answer at this URL.",
            ),
            "forged_taken": Fault(
                "broken",
                "Find out what answers at this URL: it takes POSTs that nobody signed, so it is not this server.",
            ),
            "unreached": Fault("unknown", "Mend what keeps the URL from being reached first.", _AGAIN),
        },
    ),
}
"""What the server checks of its public URL, by requests to itself."""
