"""What Java must be told of the network, where only the rest of the machine knows it: certificates and the proxy."""

import contextlib
import hashlib
import ssl
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

# the layout of a Java key store (JKS, version 2) that holds certificates only
MAGIC, VERSION, TRUSTED = 0xFEEDFEED, 2, 2
WHITENER = b"Mighty Aphrodite"
PASSWORD = "changeit"  # Java's own default: it guards nothing, certificates are public


def trusted_certificates(environ: Mapping[str, str]) -> list[bytes]:
    """The certificates (DER) that Python trusts on this machine; SSL_CERT_FILE names them where a proxy has its own."""
    context = ssl.create_default_context()
    if environ.get("SSL_CERT_FILE"):
        with contextlib.suppress(OSError):
            context.load_verify_locations(cafile=environ["SSL_CERT_FILE"])
    return context.get_ca_certs(binary_form=True)


def java_key_store(certificates: Sequence[bytes]) -> bytes:
    """A Java trust store of these certificates."""

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode("ascii")

    body = struct.pack(">III", MAGIC, VERSION, len(certificates))
    for number, certificate in enumerate(certificates):
        created = struct.pack(">Q", 0)
        body += struct.pack(">I", TRUSTED) + text(f"ca{number}") + created
        body += text("X.509") + struct.pack(">I", len(certificate)) + certificate
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + WHITENER + body, usedforsecurity=False).digest()


def proxy_options(environ: Mapping[str, str]) -> list[str]:
    """Java's words for the proxies that the environment names: it does not read https_proxy itself."""
    options = []
    for scheme in ("http", "https"):
        address = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme}_proxy".upper())
        parts = urlsplit(address if "//" in address else f"//{address}") if address else None
        if parts and parts.hostname:
            options += [f"-D{scheme}.proxyHost={parts.hostname}", f"-D{scheme}.proxyPort={parts.port or 80}"]
    return options


def java_options(environ: Mapping[str, str], store: Path) -> str:
    """JAVA_TOOL_OPTIONS with which Java sees the network as Python does; writes the trust store."""
    certificates = trusted_certificates(environ)
    options = proxy_options(environ)
    if certificates:
        store.write_bytes(java_key_store(certificates))
        options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=JKS"]
        options.append(f"-Djavax.net.ssl.trustStorePassword={PASSWORD}")
    return " ".join([*filter(None, [environ.get("JAVA_TOOL_OPTIONS")]), *options])
