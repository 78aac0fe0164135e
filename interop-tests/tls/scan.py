"""Scans a port with TLS by sslyze: `scan.py HOST:PORT CERTIFICATES`. Fails if anything weak is accepted."""

import pathlib
import sys

from sslyze import (
    ClientAuthenticationCredentials,
    ScanCommand,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanStatusEnum,
)

OLD = [
    ScanCommand.SSL_2_0_CIPHER_SUITES,
    ScanCommand.SSL_3_0_CIPHER_SUITES,
    ScanCommand.TLS_1_0_CIPHER_SUITES,
    ScanCommand.TLS_1_1_CIPHER_SUITES,
]
NEW = [ScanCommand.TLS_1_2_CIPHER_SUITES, ScanCommand.TLS_1_3_CIPHER_SUITES]
FLAWS = [
    ScanCommand.HEARTBLEED,
    ScanCommand.OPENSSL_CCS_INJECTION,
    ScanCommand.ROBOT,
    ScanCommand.SESSION_RENEGOTIATION,
    ScanCommand.TLS_COMPRESSION,
    ScanCommand.TLS_1_3_EARLY_DATA,
]


def scan(host, port, folder):
    client = ClientAuthenticationCredentials(folder / "client.pem", folder / "client.key")
    request = ServerScanRequest(
        ServerNetworkLocation(host, port),
        ServerNetworkConfiguration(host, tls_client_auth_credentials=client),
        scan_commands={*OLD, *NEW, *FLAWS},
    )
    scanner = Scanner()
    scanner.queue_scans([request])
    (found,) = scanner.get_results()
    if found.scan_status != ServerScanStatusEnum.COMPLETED:
        sys.exit(f"not scanned: {found.connectivity_error_trace}")
    return found.scan_result


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    found = scan(host, int(port), pathlib.Path(sys.argv[2]))
    weak = []

    def result(command):
        attempt = getattr(found, command.value)
        if attempt.result is None:
            weak.append(f"{command.value}: {attempt.error_reason} {attempt.error_trace}")
        return attempt.result

    for command in OLD + NEW:
        suites = result(command)
        accepted = [each.cipher_suite.name for each in suites.accepted_cipher_suites] if suites else []
        print(f"{command.value}: {', '.join(accepted) or 'nothing'}")
        if command in OLD:
            weak += accepted
        elif not accepted:
            weak.append(f"{command.value}: nothing is accepted")
        else:
            strong = ("GCM_SHA256", "GCM_SHA384", "CHACHA20_POLY1305_SHA256")
            weak += [name for name in accepted if not name.endswith(strong)]
            if command == ScanCommand.TLS_1_2_CIPHER_SUITES:
                weak += [name for name in accepted if "ECDHE" not in name]
    for command, flaw in [
        (ScanCommand.HEARTBLEED, lambda it: it.is_vulnerable_to_heartbleed),
        (ScanCommand.OPENSSL_CCS_INJECTION, lambda it: it.is_vulnerable_to_ccs_injection),
        (ScanCommand.ROBOT, lambda it: not it.robot_result.name.startswith("NOT_VULNERABLE")),
        (ScanCommand.SESSION_RENEGOTIATION, lambda it: it.is_vulnerable_to_client_renegotiation_dos),
        (ScanCommand.TLS_COMPRESSION, lambda it: it.supports_compression),
        (ScanCommand.TLS_1_3_EARLY_DATA, lambda it: it.supports_early_data),
    ]:
        it = result(command)
        if it is not None and flaw(it):
            weak.append(command.value)
    if weak:
        sys.exit("weak: " + "; ".join(weak))
    print("nothing weak is accepted")


if __name__ == "__main__":
    main()
