//! The table of causes: each with its word, RFC 9209's proxy error type (section 2.3), whether it may heal by
//! itself, and its sentence. Texts are static so that nothing secret can get in; what else is known (which
//! address, which date, which alert) is told on stderr. A new cause is one entry here, and is described in
//! `docs/errors.md`.
//!
//! `heals`: the same request may succeed later, and its sentence says so. `lasts`: somebody must change
//! something first, and the sentence says what.

use super::causes;

causes! {
    /// Why an upstream failed a request.
    pub enum Cause {
        // Name and address
        /// The upstream's name has no address, or the DNS did not say.
        DnsFailed = "dns_failed", dns_error, heals,
            "The upstream's host name could not be resolved; check its URL and the DNS, or retry \
            later.";
        /// The name was not resolved within `deadlines.connect`.
        DnsTimeout = "dns_timeout", dns_timeout, heals,
            "The upstream's host name was not resolved in time; check the DNS, or retry later.";
        /// Nobody listens at the address.
        Refused = "refused", connection_refused, heals,
            "The upstream refused the connection; check that it is running, or retry later.";
        /// There is no route to the address.
        Unreachable = "unreachable", destination_ip_unroutable, heals,
            "No network route leads to the upstream; check its address and the network, or retry \
            later.";
        /// The connection failed in another way.
        ConnectFailed = "connect_failed", destination_unavailable, heals,
            "The connection to the upstream failed; check its address and the network, or retry \
            later.";
        /// No connection within `deadlines.connect`: the address does not answer, or a firewall is silent.
        ConnectTimeout = "connect_timeout", connection_timeout, heals,
            "The upstream did not accept a connection in time; check its address and firewalls, \
            or retry later.";
        /// The TLS handshake did not finish within `deadlines.connect`.
        TlsTimeout = "tls_timeout", connection_timeout, heals,
            "The TLS handshake with the upstream took too long; check that it speaks TLS, or \
            retry later.";
        /// HTTP/2's SETTINGS did not come within `deadlines.connect`.
        HttpTimeout = "http_handshake_timeout", connection_timeout, heals,
            "The upstream did not begin HTTP/2 in time; check its protocol, or retry later.";
        /// There is no Unix socket at the path.
        SocketMissing = "socket_missing", destination_not_found, heals,
            "The upstream's Unix socket does not exist; check that it is running and the path, or \
            retry later.";
        /// The Unix socket may not be connected to.
        SocketDenied = "socket_denied", destination_unavailable, lasts,
            "The proxy may not connect to the upstream's Unix socket; check its permissions.";
        // The proxy before the upstream
        /// The proxy's name did not resolve.
        ProxyDnsFailed = "proxy_dns_failed", dns_error, heals,
            "The host name of the HTTP proxy before the upstream could not be resolved; check \
            proxy or HTTPS_PROXY, or retry later.";
        /// The proxy cannot be connected to.
        ProxyUnreachable = "proxy_unreachable", destination_unavailable, heals,
            "The HTTP proxy before the upstream cannot be reached; check proxy or HTTPS_PROXY, or \
            retry later.";
        /// The proxy did not open the way within `deadlines.connect`.
        ProxyTimeout = "proxy_timeout", connection_timeout, heals,
            "The HTTP proxy before the upstream did not respond in time; check it, or retry later.";
        /// The proxy answered CONNECT with 407.
        ProxyAuthentication = "proxy_authentication", proxy_configuration_error, lasts,
            "The HTTP proxy before the upstream wants a user and password; set them in proxy or \
            HTTPS_PROXY.";
        /// The proxy answered CONNECT with another 4xx, or what is no answer to it.
        ProxyDenied = "proxy_denied", destination_unavailable, lasts,
            "The HTTP proxy before the upstream refused the connection; allow it there, or add the \
            host to NO_PROXY.";
        /// The proxy answered CONNECT with a 5xx: it cannot reach the upstream.
        ProxyFailed = "proxy_failed", destination_unavailable, heals,
            "The HTTP proxy could not reach the upstream; check both, or retry later.";
        /// The proxy closed the connection instead of answering CONNECT.
        ProxyClosed = "proxy_closed", connection_terminated, heals,
            "The HTTP proxy before the upstream closed the connection; check it, or retry later.";
        /// What the proxy answers is not HTTP/1.1.
        ProxyNotHttp = "proxy_not_http", http_protocol_error, lasts,
            "The HTTP proxy before the upstream does not speak HTTP/1.1; check proxy or \
            HTTPS_PROXY.";
        // TLS
        /// Its certificate, or one of its chain, has expired.
        TlsExpired = "tls_expired", tls_certificate_error, lasts,
            "The upstream's TLS certificate has expired; renew it on the upstream.";
        /// Its certificate is valid from a later time on.
        TlsNotYetValid = "tls_not_yet_valid", tls_certificate_error, lasts,
            "The upstream's TLS certificate is not valid yet; check the clocks of both ends.";
        /// Nobody who is trusted has signed its certificate.
        TlsUnknownAuthority = "tls_unknown_authority", tls_certificate_error, lasts,
            "The upstream's TLS certificate is from an unknown authority; set ca_file or \
            pin_sha256.";
        /// Its certificate is an authority's own, and is not in `ca_file`.
        TlsCaAsServer = "tls_ca_as_server", tls_certificate_error, lasts,
            "The upstream's TLS certificate is an authority's own; put it in ca_file, or set \
            pin_sha256.";
        /// Its certificate is for other names.
        TlsWrongName = "tls_wrong_name", tls_certificate_error, lasts,
            "The upstream's TLS certificate is for another name; check the URL, or set \
            server_name.";
        /// Its certificate names no host: it has no subjectAltName.
        TlsNoNames = "tls_no_names", tls_certificate_error, lasts,
            "The upstream's TLS certificate has no subjectAltName; set pin_sha256, or renew it \
            with one.";
        /// Its certificate was revoked.
        TlsRevoked = "tls_revoked", tls_certificate_error, lasts,
            "The upstream's TLS certificate is revoked; renew it on the upstream.";
        /// Its certificate cannot be read, or not be used for this: a wrong signature, a wrong purpose.
        TlsBadCertificate = "tls_bad_certificate", tls_certificate_error, lasts,
            "The upstream's TLS certificate is not valid for a server; check it on the upstream.";
        /// Its key is none of `pin_sha256`.
        TlsPinMismatch = "tls_pin_mismatch", tls_certificate_error, lasts,
            "The upstream's TLS key is none of those in pin_sha256; check the upstream, then the \
            pins.";
        /// It wants a client certificate, and none is configured.
        TlsCertificateDemanded = "tls_client_certificate_demanded", tls_alert_received, lasts,
            "The upstream demands a TLS client certificate; set client_certificate and \
            client_key.";
        /// It does not take our client certificate.
        TlsCertificateRefused = "tls_client_certificate_refused", tls_alert_received, lasts,
            "The upstream refused the TLS client certificate; check client_certificate and \
            client_key.";
        /// It has no certificate for the name that was asked for.
        TlsUnknownName = "tls_unknown_name", tls_alert_received, lasts,
            "The upstream does not know this TLS server name; check the URL, or set server_name.";
        /// It has no version, cipher or key exchange in common with us.
        TlsNoCommonVersion = "tls_no_common_version", tls_protocol_error, lasts,
            "The upstream offers no TLS version or cipher that this proxy accepts; it needs TLS \
            1.2 or 1.3.";
        /// It does not offer the HTTP version that `protocol` wants (ALPN).
        TlsNoCommonProtocol = "tls_no_common_protocol", tls_protocol_error, lasts,
            "The upstream does not offer the configured HTTP version over TLS; check protocol.";
        /// What it answers is not TLS.
        TlsNotSpoken = "tls_not_spoken", tls_protocol_error, lasts,
            "The upstream does not speak TLS on this port; check the port, or write http:// in \
            its URL.";
        /// It closed the connection during the handshake, without a word.
        TlsClosed = "tls_closed", connection_terminated, heals,
            "The upstream closed the connection during the TLS handshake; check it, or retry \
            later.";
        /// It ended TLS with another alert.
        TlsAlert = "tls_alert", tls_alert_received, lasts,
            "The upstream ended the TLS connection with an alert; the proxy's log names it.";
        /// TLS failed in another way.
        TlsFailed = "tls_failed", tls_protocol_error, lasts,
            "The TLS connection to the upstream failed; the proxy's log has the reason.";
        // HTTP on the connection
        /// It closed the connection before HTTP/2 had begun.
        HandshakeClosed = "http_handshake_closed", connection_terminated, heals,
            "The upstream closed the connection before HTTP/2 began; check its protocol, or \
            retry later.";
        /// What it answers is not HTTP/2.
        NotHttp2 = "not_http2", http_protocol_error, lasts,
            "The upstream does not speak HTTP/2 on this port; set protocol: http1.";
        /// What it answers is not HTTP/1.1: TLS, HTTP/2, or another protocol.
        NotHttp1 = "not_http1", http_protocol_error, lasts,
            "The upstream does not speak HTTP/1.1 on this port; check its URL and protocol.";
        /// It closed the connection before its answer was complete.
        Closed = "closed", connection_terminated, heals,
            "The upstream closed the connection before its response was complete; retry later.";
        /// It reset the TCP connection.
        ClosedByReset = "closed_by_reset", connection_terminated, heals,
            "The upstream reset the connection; retry later.";
        /// The kernel gave the connection up: what we sent was not acknowledged.
        Unanswered = "unanswered", connection_read_timeout, heals,
            "The upstream's host stopped responding; check it and the network, or retry later.";
        /// It answered no PING within `pool.ping_timeout`.
        Silent = "silent", connection_read_timeout, heals,
            "The upstream stopped responding on its connection; check it and the network, or \
            retry later.";
        /// It sent HTTP/2 control frames without end.
        Flooded = "control_flood", http_protocol_error, lasts,
            "The upstream sent too many HTTP/2 control frames; check the upstream.";
        // HTTP/2: the code of its GOAWAY or RST_STREAM (RFC 9113, section 7)
        /// GOAWAY of `NO_ERROR`, above whose last stream the request was.
        Goaway = "goaway", connection_terminated, heals,
            "The upstream is closing its connections; retry later.";
        /// GOAWAY: `PROTOCOL_ERROR`.
        GoawayProtocolError = "goaway_protocol_error", http_protocol_error, lasts,
            "The upstream closed the connection with PROTOCOL_ERROR; this request may be the \
            cause.";
        /// GOAWAY: `INTERNAL_ERROR`.
        GoawayInternalError = "goaway_internal_error", connection_terminated, heals,
            "The upstream closed the connection with INTERNAL_ERROR; retry later.";
        /// GOAWAY: `FLOW_CONTROL_ERROR`.
        GoawayFlowControl = "goaway_flow_control_error", http_protocol_error, lasts,
            "The upstream closed the connection with FLOW_CONTROL_ERROR; check the upstream.";
        /// GOAWAY: `FRAME_SIZE_ERROR`.
        GoawayFrameSize = "goaway_frame_size_error", http_protocol_error, lasts,
            "The upstream closed the connection with FRAME_SIZE_ERROR; this request may be the \
            cause.";
        /// GOAWAY: `COMPRESSION_ERROR`.
        GoawayCompression = "goaway_compression_error", http_protocol_error, lasts,
            "The upstream closed the connection with COMPRESSION_ERROR; this request may be the \
            cause.";
        /// GOAWAY: `ENHANCE_YOUR_CALM`, too much of something, such as headers or PINGs.
        GoawayCalm = "goaway_enhance_your_calm", connection_terminated, heals,
            "The upstream closed the connection with ENHANCE_YOUR_CALM: it was sent too much; \
            retry later with smaller headers.";
        /// GOAWAY: `INADEQUATE_SECURITY`.
        GoawaySecurity = "goaway_inadequate_security", tls_protocol_error, lasts,
            "The upstream closed the connection with INADEQUATE_SECURITY; check its TLS settings.";
        /// GOAWAY with another code.
        GoawayOther = "goaway_other", connection_terminated, heals,
            "The upstream closed the connection with an error; retry later.";
        /// `HTTP_1_1_REQUIRED`, on the stream or the connection.
        Http11Required = "http_1_1_required", http_protocol_error, lasts,
            "The upstream requires HTTP/1.1 for this request; set protocol: http1.";
        /// `RST_STREAM`: `NO_ERROR`, without an answer.
        ResetNoError = "reset_no_error", http_response_incomplete, heals,
            "The upstream ended the request without a response; retry later.";
        /// `RST_STREAM`: `PROTOCOL_ERROR`.
        ResetProtocolError = "reset_protocol_error", http_protocol_error, lasts,
            "The upstream reset the request with PROTOCOL_ERROR; this request may be the cause.";
        /// `RST_STREAM`: `INTERNAL_ERROR`.
        ResetInternalError = "reset_internal_error", http_response_incomplete, heals,
            "The upstream reset the request with INTERNAL_ERROR; retry later.";
        /// `RST_STREAM`: `REFUSED_STREAM`, more than it takes at once.
        ResetRefused = "reset_refused_stream", http_response_incomplete, heals,
            "The upstream refused the request: it has too many at once; retry later.";
        /// `RST_STREAM`: CANCEL.
        ResetCancel = "reset_cancel", http_response_incomplete, heals,
            "The upstream cancelled the request; retry later.";
        /// `RST_STREAM`: `ENHANCE_YOUR_CALM`.
        ResetCalm = "reset_enhance_your_calm", http_response_incomplete, heals,
            "The upstream reset the request with ENHANCE_YOUR_CALM: it has too much to do; retry \
            later.";
        /// `RST_STREAM` with another code.
        ResetOther = "reset_other", http_response_incomplete, heals,
            "The upstream reset the request with an error; retry later.";
        /// It broke HTTP/2, and we ended the connection.
        Http2Violation = "http2_violation", http_protocol_error, lasts,
            "The upstream's HTTP/2 is not valid; check the upstream.";
        // The answer
        /// A head or the trailers have more lines than `limits.response_headers`.
        TooManyHeaders = "too_many_headers", http_response_header_section_size, lasts,
            "The upstream's response has too many headers; raise limits.response_headers.";
        /// A head or the trailers have more bytes than `limits.response_header_bytes`.
        HeadTooLarge = "head_too_large", http_response_header_section_size, lasts,
            "The upstream's response headers are too large; raise limits.response_header_bytes.";
        /// The answer's head is not valid HTTP.
        InvalidHead = "invalid_head", http_protocol_error, lasts,
            "The upstream's response headers are not valid HTTP; check the upstream.";
        /// The answer's body breaks its framing: a chunk's size that is none.
        InvalidBody = "invalid_body", http_protocol_error, lasts,
            "The upstream's response body is not valid HTTP; check the upstream.";
        /// The answer's length can be read in two ways.
        InvalidLength = "invalid_length", http_protocol_error, lasts,
            "The length of the upstream's response is ambiguous; check the upstream.";
        /// The answer has a transfer coding other than chunked.
        TransferCoding = "transfer_coding", http_response_transfer_coding, lasts,
            "The upstream's response has a transfer coding that this proxy does not know; check \
            the upstream.";
        /// It sent interim responses (1xx) and no final one.
        TooManyInterims = "too_many_interims", http_protocol_error, lasts,
            "The upstream sent too many interim (1xx) responses; check the upstream.";
        /// It answered 101: it changes to a protocol that is not forwarded.
        UpgradeRefused = "upgrade_refused", http_upgrade_failed, lasts,
            "The upstream switched protocols (101), which this proxy does not forward.";
        /// The answer ended before its length, its last chunk or the end of its stream.
        Truncated = "truncated", http_response_incomplete, heals,
            "The upstream's response ended before it was complete; retry later.";
        // Time
        /// No head of an answer within `deadlines.response_head`.
        HeadDeadline = "response_head_deadline", http_response_timeout, heals,
            "The upstream sent no response in time; retry later, or raise \
            deadlines.response_head.";
        /// No frame of the answer's body within `deadlines.first_frame`.
        FirstFrameDeadline = "first_frame_deadline", http_response_timeout, heals,
            "The upstream sent response headers but no body in time; retry later, or raise \
            deadlines.first_frame.";
        /// The answer's body was silent for `deadlines.frame_gap`.
        FrameGapDeadline = "frame_gap_deadline", connection_read_timeout, heals,
            "The upstream stopped sending in the middle of its response; retry later, or raise \
            deadlines.frame_gap.";
        /// The time that the client gave itself is over.
        ClientDeadline = "client_deadline", http_response_timeout, heals,
            "The time in x-firstbyte-timeout-ms passed before the response was complete; retry \
            later, or allow more time.";
    }
}
