//! How requests end, and why some were sent again or elsewhere: the words that metrics and log use.

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer went out.
    Complete,
    /// The upstream could not be reached, or its answer was cut.
    UpstreamFailed,
    /// The client left before the answer's end.
    ClientGone,
    /// A deadline of ours ran out.
    TimedOut,
    /// We said no before any upstream was asked.
    Refused,
}

impl Outcome {
    pub(super) const ALL: [Outcome; 5] = [
        Outcome::Complete,
        Outcome::UpstreamFailed,
        Outcome::ClientGone,
        Outcome::TimedOut,
        Outcome::Refused,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::UpstreamFailed => "upstream_failed",
            Outcome::ClientGone => "client_gone",
            Outcome::TimedOut => "timed_out",
            Outcome::Refused => "refused",
        }
    }
}

/// Why a request or a connection was refused for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// A connection beyond `limits.connections`; its request was told so.
    Connections,
    /// The same, closed without a word: too many were being told.
    Unanswered,
    /// All the requests in flight that the proxy takes.
    Streams,
    /// All that the route takes.
    RouteStreams,
    /// All that the upstream may be asked.
    UpstreamStreams,
    /// Too many wait for a stream to the upstream.
    QueueFull,
    /// One waited too long for it.
    QueueTimeout,
    /// No descriptor or local port for a connection upstream.
    Sockets,
    /// Memory is near its ceiling.
    Memory,
    /// The same: an answer under way was ended, since its client took nothing.
    Evicted,
}

impl Shed {
    pub(super) const ALL: [Shed; 10] = [
        Shed::Connections,
        Shed::Unanswered,
        Shed::Streams,
        Shed::RouteStreams,
        Shed::UpstreamStreams,
        Shed::QueueFull,
        Shed::QueueTimeout,
        Shed::Sockets,
        Shed::Memory,
        Shed::Evicted,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Shed::Connections => "connections",
            Shed::Unanswered => "unanswered",
            Shed::Streams => "streams",
            Shed::RouteStreams => "route_streams",
            Shed::UpstreamStreams => "upstream_streams",
            Shed::QueueFull => "queue_full",
            Shed::QueueTimeout => "queue_timeout",
            Shed::Sockets => "sockets",
            Shed::Memory => "memory",
            Shed::Evicted => "evicted",
        }
    }
}

/// Why we closed a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// No request for `client.idle`, or for `client.head` if there never was one.
    Idle,
    /// It had no request, and a newcomer needed its place.
    Room,
    /// HTTP/2 frames that carry no request came without end.
    ControlFrames,
    /// Request after request was given up.
    Cancels,
}

impl Hangup {
    pub(super) const ALL: [Hangup; 4] =
        [Hangup::Idle, Hangup::Room, Hangup::ControlFrames, Hangup::Cancels];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Hangup::Idle => "idle",
            Hangup::Room => "room",
            Hangup::ControlFrames => "control_frames",
            Hangup::Cancels => "cancels",
        }
    }
}

/// Why a request could safely be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplayReason {
    /// It never left us.
    Unsent,
    /// The upstream's GOAWAY named an earlier stream as its last (RFC 9113, section 6.8).
    Goaway,
    /// The upstream reset it with `REFUSED_STREAM` (RFC 9113, section 8.7).
    RefusedStream,
}

impl ReplayReason {
    pub(super) const ALL: [ReplayReason; 3] =
        [ReplayReason::Unsent, ReplayReason::Goaway, ReplayReason::RefusedStream];

    pub(super) const fn label(self) -> &'static str {
        match self {
            ReplayReason::Unsent => "unsent",
            ReplayReason::Goaway => "goaway",
            ReplayReason::RefusedStream => "refused_stream",
        }
    }
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// From the request to the answer's head.
    ResponseHead,
    /// From the answer's head to its first frame.
    FirstFrame,
    /// Between two frames.
    FrameGap,
    /// The client's own, for all of it.
    Client,
}

impl Clock {
    pub(super) const ALL: [Clock; 4] =
        [Clock::ResponseHead, Clock::FirstFrame, Clock::FrameGap, Clock::Client];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Clock::ResponseHead => "response_head",
            Clock::FirstFrame => "first_frame",
            Clock::FrameGap => "frame_gap",
            Clock::Client => "client",
        }
    }
}

/// Why an upstream is left out of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ejection {
    /// It failed too often in a row.
    InARow,
    /// It cut too many of its answers in a row.
    Cut,
    /// Too large a share of its requests failed.
    Share,
    /// Its first bytes were much later than its peers'.
    Slow,
    /// The request that was its trial failed.
    Trial,
    /// Probes of it failed.
    Probe,
}

impl Ejection {
    pub(super) const ALL: [Ejection; 6] = [
        Ejection::InARow,
        Ejection::Cut,
        Ejection::Share,
        Ejection::Slow,
        Ejection::Trial,
        Ejection::Probe,
    ];

    /// The word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Ejection::InARow => "in_a_row",
            Ejection::Cut => "cut",
            Ejection::Share => "share",
            Ejection::Slow => "slow",
            Ejection::Trial => "trial",
            Ejection::Probe => "probe",
        }
    }
}

/// What became of a head that is too large for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// A request that may cost its connection went on one kept apart.
    Apart,
    /// A request's head or trailers are more than the upstream says it takes: 431.
    Request,
    /// A head or the trailers of an answer are more than we take.
    Answer,
}

impl Oversize {
    pub(super) const ALL: [Oversize; 3] = [Oversize::Apart, Oversize::Request, Oversize::Answer];

    pub(super) fn label(self) -> &'static str {
        match self {
            Oversize::Apart => "apart",
            Oversize::Request => "request",
            Oversize::Answer => "answer",
        }
    }
}

/// What became of a connection whose peer fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// A PING stayed unanswered for so long that new streams go elsewhere.
    Suspected,
    /// A byte came after all.
    Cleared,
    /// The PING's timeout passed, and the connection was ended.
    GivenUp,
}

impl Silence {
    pub(super) const ALL: [Silence; 3] = [Silence::Suspected, Silence::Cleared, Silence::GivenUp];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Silence::Suspected => "suspected",
            Silence::Cleared => "cleared",
            Silence::GivenUp => "given_up",
        }
    }
}

/// Why an upstream was left for the next of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailoverReason {
    /// No connection to it could be had.
    Connect,
    /// No stream became free in time, or too many waited.
    Queue,
    /// It reset the request with `REFUSED_STREAM` (RFC 9113, section 8.7).
    Refused,
    /// The request never left us, or a GOAWAY disowned it.
    Unsent,
    /// It answered 429.
    RateLimited,
    /// It answered another status that the operator chose.
    Status,
    /// It sent no answer's head in time.
    HeadTimeout,
    /// It sent no first frame in time, and its head was held back.
    FirstFrameTimeout,
    /// Its stream or connection ended before anything of an answer.
    Closed,
}

impl FailoverReason {
    pub(super) const fn label(self) -> &'static str {
        match self {
            FailoverReason::Connect => "connect",
            FailoverReason::Queue => "queue",
            FailoverReason::Refused => "refused",
            FailoverReason::Unsent => "unsent",
            FailoverReason::RateLimited => "rate_limited",
            FailoverReason::Status => "status",
            FailoverReason::HeadTimeout => "head_timeout",
            FailoverReason::FirstFrameTimeout => "first_frame_timeout",
            FailoverReason::Closed => "closed",
        }
    }
}

/// Why a request was not sent again although somebody was left to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prevented {
    /// Its body is beyond what is kept for sending it again.
    Body,
    /// The group's retries are spent.
    Budget,
    /// All ask to be left alone for longer than a pause may be.
    RetryAfter,
    /// The client's own time would be over.
    Deadline,
    /// No hedge: its body is not all here, or beyond what is kept.
    HedgeBody,
    /// No hedge: the group's hedges are spent.
    HedgeBudget,
}

impl Prevented {
    pub(super) const ALL: [Prevented; 6] = [
        Prevented::Body,
        Prevented::Budget,
        Prevented::RetryAfter,
        Prevented::Deadline,
        Prevented::HedgeBody,
        Prevented::HedgeBudget,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Prevented::Body => "body",
            Prevented::Budget => "budget",
            Prevented::RetryAfter => "retry_after",
            Prevented::Deadline => "deadline",
            Prevented::HedgeBody => "hedge_body",
            Prevented::HedgeBudget => "hedge_budget",
        }
    }
}

/// What became of a hedge: a second upstream that was asked while the first had not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HedgeEnd {
    /// It answered first; the other request was cancelled.
    Won,
    /// It answered after the other had failed.
    StoodIn,
    /// The other answered first; this one was cancelled.
    Lost,
    /// It failed, or its answer was one that leads to the next upstream.
    Failed,
    /// The client left, or a deadline of its own passed, while it ran.
    Abandoned,
}

impl HedgeEnd {
    pub(super) const ALL: [HedgeEnd; 5] =
        [HedgeEnd::Won, HedgeEnd::StoodIn, HedgeEnd::Lost, HedgeEnd::Failed, HedgeEnd::Abandoned];

    pub(super) const fn label(self) -> &'static str {
        match self {
            HedgeEnd::Won => "won",
            HedgeEnd::StoodIn => "stood_in",
            HedgeEnd::Lost => "lost",
            HedgeEnd::Failed => "failed",
            HedgeEnd::Abandoned => "abandoned",
        }
    }
}
