//! The table: each failure with who failed, what it counts as, its status, `code`, proxy error type of
//! RFC 9209 (section 2.3) and message. Texts are static so that nothing secret can get in. A new error is
//! one entry here.

use super::row::{Row, kinds};
use super::{Blame, Side};

/// Nobody is there to read it; the number is nginx's, so that dashboards know it in the log.
const CLIENT_CLOSED: u16 = 499;

kinds! {
    /// Every failure of the proxy.
    pub enum Kind {
        /// No route has this path.
        NoRoute => Row {
            side: Side::Client, blame: Blame::Refused, status: 404, code: "no_route",
            proxy_status: "destination_not_found",
            message: "No route of this proxy matches this path; check the base URL.",
        },
        /// No rule of the route takes the request's model.
        ModelUnknown => Row {
            side: Side::Client, blame: Blame::Refused, status: 404, code: "model_not_found",
            proxy_status: "destination_not_found",
            message: "No upstream of this route has the model; check its name.",
        },
        /// The route goes by the model, the request names none, and the route has no `otherwise`.
        ModelMissing => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "model_missing",
            proxy_status: "http_request_error",
            message: "This route forwards requests by their model, and the request names none; the operator \
                can add otherwise to the route.",
        },
        /// The request's body does not say which model is meant; the text says why, and goes to the client.
        ModelUnreadable(why: &'static str) => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "model_unreadable",
            proxy_status: "http_request_error",
            message: why,
        },
        /// The request's body is compressed, and its model is needed.
        ModelCompressed => Row {
            side: Side::Client, blame: Blame::Refused, status: 415, code: "model_compressed",
            proxy_status: "http_request_error",
            message: "This route forwards requests by their model and does not decompress bodies; send the \
                body without content-encoding.",
        },
        /// No upstream of the route has said which models it has.
        ModelsUnknown => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "models_unknown",
            proxy_status: "destination_unavailable",
            message: "No upstream of this route has listed its models yet; retry shortly.",
        },
        /// A web page asks whose origin is neither ours nor in `allowed_origins`.
        ForeignOrigin => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "foreign_origin",
            proxy_status: "http_request_denied",
            message: "Web pages of this origin may not use the proxy; the operator can add the \
                origin to allowed_origins.",
        },
        /// A listener on loopback was asked by a name that is neither loopback's nor in `allowed_hosts`.
        ForeignHost => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "foreign_host",
            proxy_status: "http_request_denied",
            message: "The proxy listens on loopback and accepts only loopback host names; the \
                operator can add others to allowed_hosts.",
        },
        /// The request brings no key of a client that may ask; the text says which fault it is, and goes to the client.
        InvalidKey(why: &'static str) => Row {
            side: Side::Client, blame: Blame::Refused, status: 401, code: "invalid_api_key",
            proxy_status: "http_request_denied",
            message: why,
        },
        /// The client may not use this route.
        RouteNotAllowed => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "route_not_allowed",
            proxy_status: "http_request_denied",
            message: "This key may not use this path; the operator can add the route to the client's \
                routes.",
        },
        /// The client may not use this model.
        ModelNotAllowed => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "model_not_allowed",
            proxy_status: "http_request_denied",
            message: "This key may not use this model; the operator can add it to the client's models.",
        },
        /// What was published, or asked for, is no event, name or cursor; the text says why, and goes to the client.
        EventUnfit(why: &'static str) => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "event_unfit",
            proxy_status: "http_request_error",
            message: why,
        },
        /// What was published is in no form that is read.
        EventMediaType => Row {
            side: Side::Client, blame: Blame::Refused, status: 415, code: "event_media_type",
            proxy_status: "http_request_error",
            message: "Events are published as text/event-stream or application/json, in UTF-8 and not \
                compressed; set content-type.",
        },
        /// What was published is larger than the route's `events.message`.
        EventTooLarge => Row {
            side: Side::Client, blame: Blame::Refused, status: 413, code: "event_too_large",
            proxy_status: "http_request_error",
            message: "The body is larger than this route takes; publish smaller events, or ask the operator to \
                raise events.message.",
        },
        /// Neither publishing nor subscribing.
        EventMethod => Row {
            side: Side::Client, blame: Blame::Refused, status: 405, code: "event_method",
            proxy_status: "http_request_error",
            message: "Events are published with POST and subscribed to with GET.",
        },
        /// The client may not publish to this name.
        PublishNotAllowed => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "publish_not_allowed",
            proxy_status: "http_request_denied",
            message: "This key may not publish to this name; the operator can add the name to the client's \
                publish.",
        },
        /// The client may not subscribe to this name, or may not any more.
        SubscribeNotAllowed => Row {
            side: Side::Client, blame: Blame::Refused, status: 403, code: "subscribe_not_allowed",
            proxy_status: "http_request_denied",
            message: "This key may not subscribe to this name; the operator can add the name to the client's \
                subscribe.",
        },
        /// The name has an event with this id, which its publisher chose.
        EventIdTaken => Row {
            side: Side::Client, blame: Blame::Refused, status: 409, code: "event_id_taken",
            proxy_status: "http_request_error",
            message: "An event with this id is there already, and nothing was published; choose another id, or \
                leave it out.",
        },
        /// The route has `events.names` names.
        EventNamesFull => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "event_names_full",
            proxy_status: "proxy_internal_response",
            message: "This route has reached its limit of names; use one that is there, or retry later.",
        },
        /// The route has `events.subscribers` subscribers.
        EventSubscribersFull => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "event_subscribers_full",
            proxy_status: "proxy_internal_response",
            message: "This route has reached its limit of subscribers; retry shortly.",
        },
        /// A subscriber read so slowly that events which it had not read were dropped.
        SubscriberLagged => Row {
            side: Side::Client, blame: Blame::Timeout, status: CLIENT_CLOSED, code: "subscriber_lagged",
            proxy_status: "http_request_error",
            message: "The subscriber read too slowly, and events that it had not read were dropped.",
        },
        /// A limit of the client's, or of a group that it is in.
        RateLimited => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "rate_limit_exceeded",
            proxy_status: "connection_limit_reached",
            message: "A rate limit of this key is reached; send requests more slowly.",
        },
        /// A budget of the client's, or of a group that it is in.
        QuotaExceeded => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "insufficient_quota",
            proxy_status: "http_request_denied",
            message: "The budget of this key is used up; ask the operator for more.",
        },
        /// Limits are shared, the server that they are shared by is lost, and `redis.on_loss` is `deny`.
        LimitsUnavailable => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "limits_unavailable",
            proxy_status: "proxy_internal_error",
            message: "The proxy cannot check the limits of this key at the moment; retry later.",
        },
        /// No kept stream has this id, or it is somebody else's, or it has expired: all of that is one answer.
        StreamNotFound => Row {
            side: Side::Client, blame: Blame::Refused, status: 404, code: "stream_not_found",
            proxy_status: "destination_not_found",
            message: "No stream of this id is kept for you; it may have expired.",
        },
        /// What a reader of a kept stream asked for is no offset of it; the text says why, and goes to the client.
        BadCursor(why: &'static str) => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "bad_stream_offset",
            proxy_status: "http_request_error",
            message: why,
        },
        /// The ring of a kept stream has dropped what a reader asked for.
        StreamOffsetLost => Row {
            side: Side::Client, blame: Blame::Refused, status: 410, code: "stream_offset_lost",
            proxy_status: "http_request_error",
            message: "The stream no longer has this offset.",
        },
        /// The ring of a kept stream has overtaken one of its readers.
        StreamLagged => Row {
            side: Side::Client, blame: Blame::Timeout, status: CLIENT_CLOSED,
            code: "stream_reader_lagged", proxy_status: "http_request_error",
            message: "The client read the stream too slowly, and its bytes are no longer kept.",
        },
        /// The owner of a kept stream has stopped it.
        StreamStopped => Row {
            side: Side::Client, blame: Blame::Client, status: CLIENT_CLOSED, code: "stream_stopped",
            proxy_status: "http_request_error",
            message: "The stream was stopped by its owner.",
        },
        /// A kept stream went on without a reader for `resume.detached`.
        StreamAbandoned => Row {
            side: Side::Client, blame: Blame::Client, status: CLIENT_CLOSED, code: "stream_abandoned",
            proxy_status: "http_request_error",
            message: "Nobody read the stream for too long.",
        },
        /// What several processes have together cannot be reached.
        SharedStoreLost => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "shared_store_lost",
            proxy_status: "destination_unavailable",
            message: "The proxies of this service cannot reach what they share just now; retry shortly.",
        },
        /// HTTP without TLS came to a listener that speaks TLS.
        NoTls => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "no_tls",
            proxy_status: "http_request_error",
            message: "This port speaks HTTPS and the request came without TLS; use an https:// URL.",
        },
        /// CONNECT and TRACE: a tunnel is not offered, and TRACE would echo our key to the client.
        MethodRefused => Row {
            side: Side::Client, blame: Blame::Refused, status: 405, code: "method_refused",
            proxy_status: "http_request_error",
            message: "This proxy does not forward CONNECT or TRACE.",
        },
        /// A WebSocket is asked for, which is not carried.
        UpgradeUnsupported => Row {
            side: Side::Client, blame: Blame::Refused, status: 501, code: "upgrade_unsupported",
            proxy_status: "http_request_error",
            message: "This proxy does not carry WebSockets; use the API's HTTP endpoints.",
        },
        /// The request's head has more bytes than `limits.header_bytes`.
        HeadTooLarge => Row {
            side: Side::Client, blame: Blame::Refused, status: 431, code: "head_too_large",
            proxy_status: "http_request_error",
            message: "The request headers are too large; send fewer or shorter headers.",
        },
        /// The request's head has more lines than `limits.headers`.
        TooManyHeaders => Row {
            side: Side::Client, blame: Blame::Refused, status: 431, code: "too_many_headers",
            proxy_status: "http_request_error",
            message: "The request has too many headers; send fewer headers.",
        },
        /// The request's head is larger than the upstream says that it takes.
        UpstreamHeadLimit => Row {
            side: Side::Client, blame: Blame::Refused, status: 431, code: "upstream_head_limit",
            proxy_status: "http_request_error",
            message: "The request headers are larger than the upstream accepts; send fewer or \
                shorter headers.",
        },
        /// The request's trailers are larger than the upstream says that it takes.
        TrailersTooLarge => Row {
            side: Side::Client, blame: Blame::Refused, status: 431, code: "trailers_too_large",
            proxy_status: "http_request_error",
            message: "The request trailers are larger than the upstream accepts; send fewer or \
                shorter trailers.",
        },
        /// The request's first line is longer than `limits.header_bytes`, or its target than 64 KiB.
        TargetTooLong => Row {
            side: Side::Client, blame: Blame::Refused, status: 414, code: "target_too_long",
            proxy_status: "http_request_error",
            message: "The request URL is too long; send a shorter one.",
        },
        /// The request is not one that may be forwarded; the text names the fault, and goes to the client.
        BadRequest(why: &'static str) => Row {
            side: Side::Client, blame: Blame::Refused, status: 400, code: "bad_request",
            proxy_status: "http_request_error",
            message: why,
        },
        /// The client's head was begun and not finished within `client.head`.
        HeadSlow => Row {
            side: Side::Client, blame: Blame::Timeout, status: 408, code: "head_slow",
            proxy_status: "http_request_error",
            message: "The request headers did not arrive in time; send the request again.",
        },
        /// The client's body was silent for `client.body_idle`.
        BodyIdle => Row {
            side: Side::Client, blame: Blame::Timeout, status: 408, code: "body_idle",
            proxy_status: "http_request_error",
            message: "The request body stopped arriving; send the request again.",
        },
        /// The client sent its body slower than `client.body_rate`.
        BodySlow => Row {
            side: Side::Client, blame: Blame::Timeout, status: 408, code: "body_slow",
            proxy_status: "http_request_error",
            message: "The request body arrived too slowly; send it faster.",
        },
        /// The client closed or reset before its answer was complete.
        ClientGone => Row {
            side: Side::Client, blame: Blame::Client, status: CLIENT_CLOSED, code: "client_gone",
            proxy_status: "http_request_error",
            message: "The client disconnected before the response was complete.",
        },
        /// The client took no byte for `client.write_stall`.
        ClientWriteStall => Row {
            side: Side::Client, blame: Blame::Timeout, status: CLIENT_CLOSED,
            code: "client_stalled", proxy_status: "http_request_error",
            message: "The client stopped reading the response.",
        },
        /// The client's HTTP/2 connection was ended for frames without end that carry no request.
        ControlFlood => Row {
            side: Side::Client, blame: Blame::Client, status: CLIENT_CLOSED, code: "control_flood",
            proxy_status: "http_request_error",
            message: "The client sent too many HTTP/2 control frames.",
        },
        /// The client's HTTP/2 connection was ended since it gave up request after request.
        CancelFlood => Row {
            side: Side::Client, blame: Blame::Client, status: CLIENT_CLOSED, code: "cancel_flood",
            proxy_status: "http_request_error",
            message: "The client cancelled too many requests on one connection.",
        },
        /// The client took nothing, and memory was short.
        ClientMemory => Row {
            side: Side::Client, blame: Blame::Timeout, status: CLIENT_CLOSED,
            code: "client_stalled_memory_short", proxy_status: "http_request_error",
            message: "The client did not read the response while the proxy was short of memory.",
        },
        /// The time that the client gave itself is over.
        ClientDeadline => Row {
            side: Side::Upstream, blame: Blame::Timeout, status: 504, code: "client_deadline",
            proxy_status: "http_response_timeout",
            message: "The time in x-firstbyte-timeout-ms passed before the response was complete.",
        },
        /// `limits.streams` requests are in flight.
        Busy => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "busy",
            proxy_status: "proxy_internal_response",
            message: "The proxy has reached its limit of requests in flight; retry shortly.",
        },
        /// `limits.streams` requests of this route are in flight.
        RouteBusy => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "route_busy",
            proxy_status: "proxy_internal_response",
            message: "This route has reached its limit of requests in flight; retry shortly.",
        },
        /// `limits.streams` requests to this upstream are in flight.
        UpstreamBusy => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "upstream_busy",
            proxy_status: "connection_limit_reached",
            message: "The upstream has reached its limit of requests in flight; retry shortly.",
        },
        /// The upstream's own limit is used up, as it said itself; its `limits.adapt` waits until it is reset.
        UpstreamRateLimited => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 429, code: "upstream_rate_limited",
            proxy_status: "proxy_internal_response",
            message: "The upstream's own rate limit is used up; retry when it is reset.",
        },
        /// `limits.connections` connections, or as many as there are descriptors for, are open.
        TooManyConnections => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "too_many_connections",
            proxy_status: "proxy_internal_response",
            message: "The proxy has reached its limit of connections; retry shortly.",
        },
        /// Memory is near `limits.memory`.
        MemoryShort => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "memory_short",
            proxy_status: "proxy_internal_response",
            message: "The proxy is short of memory; retry shortly.",
        },
        /// Every upstream of the group is ejected, and the operator wants requests told so.
        AllEjected => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "all_ejected",
            proxy_status: "destination_unavailable",
            message: "Every upstream of this route is unhealthy; retry shortly.",
        },
        /// The proxy is shutting down.
        Draining => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "draining",
            proxy_status: "proxy_internal_response",
            message: "The proxy is shutting down; retry on a new connection.",
        },
        /// `pool.queue` requests already wait for a stream.
        PoolQueueFull => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "pool_queue_full",
            proxy_status: "connection_limit_reached",
            message: "Too many requests are waiting for the upstream; retry shortly.",
        },
        /// No stream became free within `pool.queue_timeout`.
        PoolQueueTimeout => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "pool_queue_timeout",
            proxy_status: "connection_limit_reached",
            message: "No stream to the upstream became free in time; retry shortly.",
        },
        /// Out of file descriptors, ports or memory for a connection.
        LocalLimit => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 503, code: "local_limit",
            proxy_status: "connection_limit_reached",
            message: "The proxy is out of sockets or ports; retry shortly.",
        },
        /// TCP, TLS and SETTINGS took longer than `deadlines.connect`.
        ConnectTimeout => Row {
            side: Side::Upstream, blame: Blame::Timeout, status: 504, code: "connect_timeout",
            proxy_status: "connection_timeout",
            message: "Connecting to the upstream timed out; retry later.",
        },
        /// The upstream's address refused, reset or could not be reached.
        ConnectRefused => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "connect_refused",
            proxy_status: "connection_refused",
            message: "The proxy could not connect to the upstream; check that it is running.",
        },
        /// The upstream's name did not resolve.
        Dns => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "dns_error",
            proxy_status: "dns_error",
            message: "The upstream's host name could not be resolved; check its URL and the DNS.",
        },
        /// The TLS handshake failed; the certificate may not be trusted.
        Tls => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "tls_error",
            proxy_status: "tls_protocol_error",
            message: "The TLS handshake with the upstream failed; check its certificate.",
        },
        /// HTTP could not be started on the connection.
        UpstreamHandshake => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_handshake",
            proxy_status: "http_protocol_error",
            message: "The upstream did not complete the HTTP handshake; check its protocol.",
        },
        /// No answer head within `deadlines.response_head`.
        HeadTimeout => Row {
            side: Side::Upstream, blame: Blame::Timeout, status: 504, code: "head_timeout",
            proxy_status: "http_response_timeout",
            message: "The upstream sent no response in time; retry later.",
        },
        /// No frame of the answer's body within `deadlines.first_frame` of its head.
        FirstFrameTimeout => Row {
            side: Side::Upstream, blame: Blame::Timeout, status: 504, code: "first_frame_timeout",
            proxy_status: "http_response_timeout",
            message: "The upstream sent response headers but no body in time; retry later.",
        },
        /// The answer's body was silent for `deadlines.frame_gap`.
        GapTimeout => Row {
            side: Side::Upstream, blame: Blame::Timeout, status: 504, code: "gap_timeout",
            proxy_status: "connection_read_timeout",
            message: "The upstream stopped sending in the middle of its response.",
        },
        /// The upstream reset the request before its head.
        UpstreamReset => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_reset",
            proxy_status: "http_response_incomplete",
            message: "The upstream reset the request before responding; retry later.",
        },
        /// The upstream's connection ended before the head.
        UpstreamClosed => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_closed",
            proxy_status: "connection_terminated",
            message: "The upstream closed the connection before responding; retry later.",
        },
        /// The upstream ended its connection with an error before the head, and the request may be why.
        UpstreamGoaway => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_goaway",
            proxy_status: "connection_terminated",
            message: "The upstream closed the connection with an error; this request may be the \
                cause.",
        },
        /// The upstream's answer breaks HTTP.
        UpstreamProtocol => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_protocol",
            proxy_status: "http_protocol_error",
            message: "The upstream's response is not valid HTTP; check the upstream.",
        },
        /// The upstream sends interim responses (1xx) and no final one.
        UpstreamInterim => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_interim",
            proxy_status: "http_protocol_error",
            message: "The upstream sent too many interim (1xx) responses; check the upstream.",
        },
        /// The upstream switches to another protocol (101), which nobody here asked it for.
        UpgradeRefused => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upgrade_refused",
            proxy_status: "http_upgrade_failed",
            message: "The upstream wants to switch protocols (101), which this proxy does not do; \
                use one of its HTTP endpoints.",
        },
        /// A head or the trailers of the upstream's answer are more than `limits.response_header_bytes` or
        /// `limits.response_headers`.
        AnswerHeadTooLarge => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502,
            code: "answer_head_too_large", proxy_status: "http_response_header_section_size",
            message: "The upstream's response headers are larger than this proxy accepts; check \
                the upstream.",
        },
        /// The upstream failed after its head.
        UpstreamCut => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "upstream_cut",
            proxy_status: "http_response_incomplete",
            message: "The upstream failed in the middle of its response.",
        },
        /// A kept stream was cut, and what reads it ends the same way.
        StreamCut => Row {
            side: Side::Upstream, blame: Blame::Upstream, status: 502, code: "stream_cut",
            proxy_status: "http_response_incomplete",
            message: "The stream was cut in the middle.",
        },
        /// A fault of the proxy's own.
        Internal => Row {
            side: Side::Proxy, blame: Blame::Refused, status: 500, code: "internal",
            proxy_status: "proxy_internal_error",
            message: "The proxy failed; find this request's id in the proxy's log.",
        },
    }
}
