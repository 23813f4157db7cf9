"""What a provider needs before it can be asked, and where it takes its permission from.

Most providers take a key, which litellm reads from the environment. Clouds also take identities
that no variable holds: AWS roles and profiles, Google's application default credentials, Azure's
managed identities. Whether one of those is there only a request can tell; `snakemake preflight`
makes one.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple


class Cloud(NamedTuple):
    """A provider that takes identities. `takes`: which, for people."""

    takes: str
    package: str  # that fetches the identity; litellm does not bring it
    required: tuple[str, ...] = ()  # variables that an identity does not replace


_AWS = Cloud("AWS credentials (a key, a profile or a role)", "boto3")
_GOOGLE = Cloud(
    "Google's application default credentials (a service account, or `gcloud auth "
    "application-default login`)",
    "google-auth",
)
_AZURE = Cloud(
    "AZURE_API_KEY or an identity (managed identity, service principal, `az login`)",
    "azure-identity",
    ("AZURE_API_BASE",),
)
CLOUDS = {
    "bedrock": _AWS,
    "sagemaker": _AWS,
    "sagemaker_chat": _AWS,
    "vertex_ai": _GOOGLE,
    "azure": _AZURE,
    "azure_text": _AZURE,
}
_AT_HOME = ("ollama", "ollama_chat")  # servers of one's own that have a default address
_NO_IDENTITY = (  # words of boto3, google-auth and azure-identity, which litellm repeats
    "unable to locate credentials",
    "default credentials were not found",
    "defaultazurecredential failed",
    "expiredtoken",
    "token has expired",
)


def missing(litellm: Any, model: str, provider: str) -> list[str]:
    """The variables without which the provider refuses, if they are unset."""
    if provider in CLOUDS:
        return [name for name in CLOUDS[provider].required if not os.environ.get(name)]
    if provider in _AT_HOME:
        return []
    return sorted(litellm.validate_environment(model)["missing_keys"])


def wants_no_key(litellm: Any, model: str, provider: str) -> bool:
    """Whether a server of one's own, asked in this provider's protocol, is asked without a key."""
    return provider not in CLOUDS and bool(missing(litellm, model, provider))


def allow_identities(litellm: Any, provider: str) -> None:
    """Let litellm take Azure's identities; unasked it takes only keys."""
    if CLOUDS.get(provider) is _AZURE and not os.environ.get("AZURE_API_KEY"):
        litellm.enable_azure_ad_token_refresh = True


def takes(provider: str) -> str:
    """What the provider takes, for people: the variables of its key, set or not, or identities."""
    if provider in CLOUDS:
        return CLOUDS[provider].takes
    names = [n for n in os.environ if n.endswith("API_KEY") and provider.upper() in n]
    return " or ".join(names) or f"{provider.upper()}_API_KEY"


def remedy(provider: str, text: str) -> str | None:
    """What to do about a failure that is one of identities; None if it is not."""
    if any(words in text.lower() for words in _NO_IDENTITY):
        return f"It takes {takes(provider)}"
    if "pip install" in text:
        return "Install it, then run the same command again"
    if "No module named" in text:
        package = CLOUDS[provider].package if provider in CLOUDS else "what it names"
        return f"Install it: pip install {package}"
    return None
