//! Every default of the proxy, each with its reason. The key table, the schema, the reference
//! in `docs/configuration.md` and the mode without a file all take them from here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{
    AccessLog, ClientDeadlines, Dns, HealthPolicy, Limits, MemoryLimit, Pool, ReloadOn, Retry,
    UpstreamDeadlines,
};

const MINUTE: u64 = 60;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Loopback: a proxy that holds a key must not be reachable from elsewhere unless asked.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Loopback, and the port that Prometheus users expect.
pub const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// Data belongs on stdout, logs on stderr; `firstbyte > access.jsonl` does what it says.
pub const ACCESS_LOG: AccessLog = AccessLog::Stdout;
/// RFC 9110, section 7.6.3: a proxy must send `Via`.
pub const VIA: bool = true;
/// A file that is being edited is not meant yet: whoever changes it says when it is.
pub const RELOAD: ReloadOn = ReloadOn::Demand;
/// Ten connects that time out one after the other, and some; a process that is not ready by then
/// waits for an upstream that does not answer, and the one that runs is better.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(MINUTE);
/// A client's key is not ours to spread.
pub const FORWARD_AUTHORIZATION: bool = false;
/// As nginx: no SDK and no API has a header with an underscore, and CGI-like servers mistake one for the
/// same name with a hyphen.
pub const UNDERSCORES_IN_HEADERS: bool = false;
/// The address of the API when `OPENAI_BASE_URL` is not set, in the SDKs' form.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The SDKs' own connect timeout: a longer one would never be seen.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The SDKs' own timeout: reasoning models are silent for minutes before the head.
pub const RESPONSE_HEAD: Duration = Duration::from_secs(10 * MINUTE);
/// As for the head: some upstreams send the head at once and think after it.
pub const FIRST_FRAME: Duration = Duration::from_secs(10 * MINUTE);
/// As for the head: a silent upstream is normal in mid-stream too.
pub const FRAME_GAP: Duration = Duration::from_secs(10 * MINUTE);

/// nginx's `keepalive_timeout`: longer than the SDKs keep idle connections, so that they close first
/// and never send on a connection that we are closing.
pub const CLIENT_IDLE: Duration = Duration::from_secs(75);

/// A head fits in a few packets; whoever needs longer is stalling on purpose.
pub const CLIENT_HEAD: Duration = Duration::from_secs(10);
/// Mobile uplinks pause for seconds, not for half a minute.
pub const BODY_IDLE: Duration = Duration::from_secs(30);
/// Bytes a second, as of Apache httpd's `mod_reqtimeout` (`body=20,MinRate=500`): half of what GPRS carries.
pub const BODY_RATE: u64 = 500;
/// As long as a zero TCP window may last before we free what we hold for the client.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
/// Kubernetes' default grace period; whoever raises one for long streams raises both.
pub const DRAIN: Duration = Duration::from_secs(30);

/// Two: the loss of one connection never puts a connect on a request's path.
pub const MIN_CONNECTIONS: usize = 2;
/// With 64 streams each, 4,096 streams per worker and upstream.
pub const MAX_CONNECTIONS: usize = 64;
/// Half of nginx's 128, and few enough that one stalled connection hurts few.
pub const STREAMS_PER_CONNECTION: usize = 64;
/// nginx closes a connection at one hour; we leave before that, also with jitter.
pub const MAX_AGE: Duration = Duration::from_secs(50 * MINUTE);
/// nginx sends GOAWAY after 1,000 requests; we leave before that.
pub const MAX_REQUESTS: u64 = 900;
/// Shorter than the idle timeouts of the usual load balancers and NATs.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Half of two seconds, after which no new request is to go to a peer that fell silent. A model may think
/// for longer than this: then it costs one PING.
pub const PING_AFTER: Duration = Duration::from_secs(1);
/// The other half. Twice a slow round trip across the world, and longer than the kernel takes to send a lost
/// segment again (RFC 6298, section 2.4: 1 s).
pub const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// Ten times a slow round trip across the world.
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the pauses of a conversation, and half of the minute after which an idle process is to be as
/// small as it was.
pub const POOL_IDLE: Duration = Duration::from_secs(30);
/// The SDKs retry a 503; a longer wait only delays their retry.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// What one slow client can make us hold; a second of tokens at any model's speed.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// h2 derives its small-frame budget from it; tokens are small frames, so it is large.
pub const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// systemd's usual hard limit on descriptors is eight times as many.
pub const CONNECTIONS: usize = 65_536;
/// A quarter of the connections: the rest of them idle between requests.
pub const STREAMS: usize = 16_384;
/// Twice what nginx takes by default (`large_client_header_buffers 4 8k`).
pub const HEADER_BYTES: usize = 64 * KIB;
/// Apache httpd takes 100 by default (`LimitRequestFields`).
pub const HEADERS: usize = 128;
/// As for requests: `OpenAI`'s answers have 2 KiB.
pub const RESPONSE_HEADER_BYTES: usize = 64 * KIB;
/// Envoy's bound; `HAProxy`'s is 101. `OpenAI`'s answers have 30.
pub const RESPONSE_HEADERS: usize = 100;
/// Chat requests with long context fit; an audio upload is not kept.
pub const REPLAY_BYTES: usize = MIB;
/// A process that the kernel kills takes every stream with it, and where there is no control group with a
/// limit this costs nothing.
pub const MEMORY: MemoryLimit = MemoryLimit::Auto;

/// The resolver that is asked caches for the TTL, so that a new address is known within the TTL and this;
/// a second less than the five after which it is promised to be used.
pub const DNS_INTERVAL: Duration = Duration::from_secs(4);
/// RFC 8305, section 8.
pub const DNS_STAGGER: Duration = Duration::from_millis(250);

/// All alike unless told otherwise.
pub const WEIGHT: u32 = 1;
/// All in the one tier unless told otherwise.
pub const TIER: u32 = 0;
/// The two statuses by which an upstream says that it did not do it (RFC 6585, section 4; RFC 9110,
/// section 15.6.4). Any other may come from a request that was processed, and billed.
pub const FAILOVER_ON: &[u16] = &[429, 503];

/// None: the SDKs retry by themselves, and two who do so multiply.
pub const RETRY_TIMES: u32 = 0;
/// Half of the SDKs' first pause, since full jitter halves it again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Under the SDKs' longest pause of 8 s: what must wait longer is better told to them.
pub const RETRY_LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// As Finagle's: a fifth more load is what an upstream in trouble can be expected to bear.
pub const RETRY_BUDGET: u32 = 20;

/// None: whoever loses may be billed.
pub const HEDGE_QUANTILE: u32 = 0;
/// Under it a second request costs more than a person can feel it to save.
pub const HEDGE_FLOOR: Duration = Duration::from_millis(100);
/// For so long people wait before they turn to something else (Miller, 1968; Nielsen, 1993).
pub const HEDGE_CEILING: Duration = Duration::from_secs(10);
/// What the 95th percentile costs ("The Tail at Scale", Dean and Barroso, 2013), and no more when all
/// are slow.
pub const HEDGE_BUDGET: u32 = 5;

impl Default for Pool {
    fn default() -> Self {
        Self {
            min_connections: MIN_CONNECTIONS,
            max_connections: MAX_CONNECTIONS,
            streams_per_connection: STREAMS_PER_CONNECTION,
            max_age: MAX_AGE,
            max_requests: MAX_REQUESTS,
            ping_interval: PING_INTERVAL,
            ping_after: PING_AFTER,
            suspect_after: SUSPECT_AFTER,
            ping_timeout: PING_TIMEOUT,
            idle: POOL_IDLE,
            // Whoever `limits.streams` lets in may wait: refusing sooner refuses those who would be served.
            queue: None,
            queue_timeout: QUEUE_TIMEOUT,
            stream_window: STREAM_WINDOW,
            connection_window: CONNECTION_WINDOW,
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self { interval: DNS_INTERVAL, stagger: DNS_STAGGER }
    }
}

impl Default for UpstreamDeadlines {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            response_head: RESPONSE_HEAD,
            first_frame: FIRST_FRAME,
            frame_gap: FRAME_GAP,
        }
    }
}

impl Default for ClientDeadlines {
    fn default() -> Self {
        Self {
            head: CLIENT_HEAD,
            idle: CLIENT_IDLE,
            body_idle: BODY_IDLE,
            body_rate: BODY_RATE,
            write_stall: WRITE_STALL,
            drain: DRAIN,
        }
    }
}

/// Envoy's, too: four may be chance.
pub const CONSECUTIVE_FAILURES: u32 = 5;
/// Half: the clients notice, whatever the cause.
pub const FAILURE_PERCENT: u32 = 50;
/// Off: how long an answer takes to begin is mostly the prompt's doing. Members that serve the same
/// prompts can be compared.
pub const SLOW_PERCENT: u32 = 0;
/// Of twenty, ten failures are no chance either.
pub const HEALTH_REQUESTS: u32 = 20;
/// Long enough for that many at two requests a second.
pub const HEALTH_WINDOW: Duration = Duration::from_secs(10);
/// Three failures of them take half a minute: requests find out sooner, and a probe is to find who comes back.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// A list of models takes no thought.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// One is chance, two are bad luck.
pub const PROBE_FAILURES: u32 = 3;
/// As long as a process takes to come back.
pub const EJECT: Duration = Duration::from_secs(5);
/// A trial request each five minutes costs nobody anything.
pub const LONGEST_EJECT: Duration = Duration::from_secs(5 * MINUTE);

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: CONSECUTIVE_FAILURES,
            failure_percent: FAILURE_PERCENT,
            slow_percent: SLOW_PERCENT,
            requests: HEALTH_REQUESTS,
            window: HEALTH_WINDOW,
            eject: EJECT,
            longest_eject: LONGEST_EJECT,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: RETRY_TIMES,
            pause: RETRY_PAUSE,
            longest_pause: RETRY_LONGEST_PAUSE,
            budget: RETRY_BUDGET,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            streams: STREAMS,
            header_bytes: HEADER_BYTES,
            headers: HEADERS,
            response_header_bytes: RESPONSE_HEADER_BYTES,
            response_headers: RESPONSE_HEADERS,
            replay_bytes: REPLAY_BYTES,
            memory: MEMORY,
        }
    }
}
