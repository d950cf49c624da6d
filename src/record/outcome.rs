//! How requests end, and why some were sent again or elsewhere: the words that metrics and log use.

/// Enums whose variants are the values of a label or of a log's field: a variant and its word are one line.
macro_rules! labels {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$doc:meta])* $variant:ident = $word:literal, )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name {
            $( $(#[$doc])* $variant, )+
        }

        impl $name {
            /// In their order as numbers: what is counted by them lies in arrays of this length.
            #[allow(dead_code, reason = "not all are counted in arrays")]
            pub(super) const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// The word for metrics and logs.
            $vis const fn label(self) -> &'static str {
                match self {
                    $( $name::$variant => $word, )+
                }
            }
        }
    )+};
}

labels! {
    /// How a request ended.
    pub enum Outcome {
        /// The whole answer went out.
        Complete = "complete",
        /// The upstream could not be reached, or its answer was cut.
        UpstreamFailed = "upstream_failed",
        /// The client left before the answer's end.
        ClientGone = "client_gone",
        /// A deadline of ours ran out.
        TimedOut = "timed_out",
        /// We said no before any upstream was asked.
        Refused = "refused",
    }

    /// Whether the client had an answer's head when its request ended: before it, an upstream's failure is an
    /// error response; after it, an answer that was cut.
    pub(super) enum Phase {
        /// No answer of an upstream's had begun; what the client got, if anything, was ours.
        BeforeHead = "before_head",
        /// An upstream's answer had begun.
        AfterHead = "after_head",
    }

    /// Why a request had to wait for a connect.
    pub enum Cold {
        /// The pool had less than its minimum, which would have spared it: connections were lost, or not open yet.
        BelowMinimum = "below_minimum",
        /// None is kept open, since the upstream closes what is idle sooner than it is used.
        Idle = "idle",
        /// More was asked for at once than the pool's minimum carries, and than was open.
        Burst = "burst",
    }

    /// Why a request or a connection was refused for want of room.
    pub enum Shed {
        /// A connection beyond `limits.connections`; its request was told so.
        Connections = "connections",
        /// The same, closed without a word: too many were being told.
        Unanswered = "unanswered",
        /// All the requests in flight that the proxy takes.
        Streams = "streams",
        /// All that the route takes.
        RouteStreams = "route_streams",
        /// All that the upstream may be asked.
        UpstreamStreams = "upstream_streams",
        /// The upstream's own limit is used up.
        UpstreamRateLimit = "upstream_rate_limit",
        /// Too many wait for a stream to the upstream.
        QueueFull = "queue_full",
        /// One waited too long for it.
        QueueTimeout = "queue_timeout",
        /// No descriptor or local port for a connection upstream.
        Sockets = "sockets",
        /// Memory is near its ceiling.
        Memory = "memory",
        /// The same: an answer under way was ended, since its client took nothing.
        Evicted = "evicted",
    }

    /// How a kept stream's upstream response ended.
    pub enum KeptEnd {
        /// Whole.
        Complete = "complete",
        /// It failed.
        Cut = "cut",
        /// Its owner stopped it.
        Stopped = "stopped",
        /// Nobody read it for too long.
        Abandoned = "abandoned",
    }

    /// What became of a request for a kept stream.
    pub enum Resume {
        /// It was there, from the offset that was asked for.
        Ok = "ok",
        /// That offset is not held any more.
        Lost = "lost",
        /// No such stream, or none of this client's.
        Unknown = "unknown",
    }

    /// Why a limit that moves was lowered.
    pub enum Lowered {
        /// First bytes took too long.
        Latency = "latency",
        /// The upstream answered 429.
        RateLimited = "rate_limited",
        /// The upstream said that nothing is left of its own limit: nothing is sent until that is reset.
        Remaining = "remaining",
    }

    /// Why we closed a client's connection.
    pub enum Hangup {
        /// No request for `client.idle`, or for `client.head` if there never was one.
        Idle = "idle",
        /// It had no request, and a newcomer needed its place.
        Room = "room",
        /// HTTP/2 frames that carry no request came without end.
        ControlFrames = "control_frames",
        /// Request after request was given up.
        Cancels = "cancels",
        /// A listener that requires a PROXY protocol header got none.
        NoProxyHeader = "no_proxy_header",
    }

    /// What became of a TLS handshake with a client.
    pub enum Handshake {
        /// TLS is spoken, with keys made anew.
        Full = "full",
        /// The same with a session from before.
        Resumed = "resumed",
        /// One of the two could not accept what the other said.
        Failed = "failed",
        /// The client left, or its time was over.
        Unfinished = "unfinished",
        /// The client spoke HTTP without TLS, and was told so.
        Clear = "clear",
    }

    /// Why a client's request was charged by an estimate.
    pub enum NoUsage {
        /// The answer came whole and says nothing of tokens: its upstream does not count, or was not asked to.
        Absent = "absent",
        /// Its body is compressed.
        Encoded = "encoded",
        /// It ended before it said so: the client left, the upstream failed, or a clock ran out.
        Cut = "cut",
        /// They stand, if anywhere, in a part of a large answer that is not kept.
        TooLarge = "too_large",
        /// What it says is no count.
        Unreadable = "unreadable",
    }

    /// Why a request could safely be sent again.
    pub enum ReplayReason {
        /// It never left us.
        Unsent = "unsent",
        /// The upstream's GOAWAY named an earlier stream as its last (RFC 9113, section 6.8).
        Goaway = "goaway",
        /// The upstream reset it with `REFUSED_STREAM` (RFC 9113, section 8.7).
        RefusedStream = "refused_stream",
    }

    /// What ran out.
    pub enum Clock {
        /// From the request to the answer's head.
        ResponseHead = "response_head",
        /// From the answer's head to its first frame.
        FirstFrame = "first_frame",
        /// Between two frames.
        FrameGap = "frame_gap",
        /// The client's own, for all of it.
        Client = "client",
    }

    /// Why an upstream is left out of its groups.
    pub enum Ejection {
        /// It failed too often in a row.
        InARow = "in_a_row",
        /// It cut too many of its answers in a row.
        Cut = "cut",
        /// Too large a share of its requests failed.
        Share = "share",
        /// Its first bytes were much later than its peers'.
        Slow = "slow",
        /// The request that was its trial failed.
        Trial = "trial",
        /// Probes of it failed.
        Probe = "probe",
    }

    /// What became of a head that is too large for somebody.
    pub enum Oversize {
        /// A request that may cost its connection went on one kept apart.
        Apart = "apart",
        /// A request's head or trailers are more than the upstream says it takes: 431.
        Request = "request",
        /// A head or the trailers of an answer are more than we take.
        Answer = "answer",
    }

    /// What became of a connection whose peer fell silent.
    pub enum Silence {
        /// A PING stayed unanswered for so long that new streams go elsewhere.
        Suspected = "suspected",
        /// A byte came after all.
        Cleared = "cleared",
        /// The PING's timeout passed, and the connection was ended.
        GivenUp = "given_up",
    }

    /// Why an upstream was left for the next of its group.
    pub enum FailoverReason {
        /// No connection to it could be had.
        Connect = "connect",
        /// No stream became free in time, or too many waited.
        Queue = "queue",
        /// It reset the request with `REFUSED_STREAM` (RFC 9113, section 8.7).
        Refused = "refused",
        /// The request never left us, or a GOAWAY disowned it.
        Unsent = "unsent",
        /// It answered 429.
        RateLimited = "rate_limited",
        /// It answered another status that the operator chose.
        Status = "status",
        /// It sent no answer's head in time.
        HeadTimeout = "head_timeout",
        /// It sent no first frame in time, and its head was held back.
        FirstFrameTimeout = "first_frame_timeout",
        /// Its stream or connection ended before anything of an answer.
        Closed = "closed",
    }

    /// Why a request was not sent again although somebody was left to ask.
    pub enum Prevented {
        /// Its body is beyond what is kept for sending it again.
        Body = "body",
        /// The group's retries are spent.
        Budget = "budget",
        /// All ask to be left alone for longer than a pause may be.
        RetryAfter = "retry_after",
        /// The client's own time would be over.
        Deadline = "deadline",
        /// No hedge: its body is not all here, or beyond what is kept.
        HedgeBody = "hedge_body",
        /// No hedge: the group's hedges are spent.
        HedgeBudget = "hedge_budget",
    }

    /// What became of a hedge: a second upstream that was asked while the first had not answered.
    pub(super) enum HedgeEnd {
        /// It answered first; the other request was cancelled.
        Won = "won",
        /// It answered after the other had failed.
        StoodIn = "stood_in",
        /// The other answered first; this one was cancelled.
        Lost = "lost",
        /// It failed, or its answer was one that leads to the next upstream.
        Failed = "failed",
        /// The client left, or a deadline of its own passed, while it ran.
        Abandoned = "abandoned",
    }
}
