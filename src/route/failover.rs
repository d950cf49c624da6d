//! Whether a failure leads to the next upstream: pure.
//!
//! What provably was not processed always may go elsewhere. What may have been processed goes only
//! where the operator said so, for it is then paid for twice and may act twice.

use http::StatusCode;

use crate::config::Triggers;
use crate::error::Kind;
use crate::record::FailoverReason;
use crate::upstream::Failure;

/// Why an upstream that failed with this error is left for another; `None` if it is not.
pub fn after_failure(kind: Kind, failure: Failure, on: &Triggers) -> Option<FailoverReason> {
    use FailoverReason as Reason;
    match (kind, failure) {
        (
            Kind::ConnectTimeout
            | Kind::ConnectRefused
            | Kind::Dns
            | Kind::Tls
            | Kind::UpstreamHandshake
            | Kind::LocalLimit,
            Failure::Unsent,
        ) => Some(Reason::Connect),
        (Kind::PoolQueueFull | Kind::PoolQueueTimeout | Kind::UpstreamBusy, Failure::Unsent) => {
            Some(Reason::Queue)
        }
        (Kind::UpstreamRateLimited, Failure::Unsent) => Some(Reason::RateLimited),
        (
            Kind::UpstreamReset
            | Kind::UpstreamClosed
            | Kind::UpstreamProtocol
            | Kind::UpstreamInterim,
            failure,
        ) => match failure {
            Failure::Refused => Some(Reason::Refused),
            Failure::Unsent | Failure::GoAway => Some(Reason::Unsent),
            Failure::Unknown => on.closed.then_some(Reason::Closed),
            Failure::Suspect => None,
        },
        // Its head was held back: only then is there somebody who asks.
        (Kind::UpstreamCut, _) => on.closed.then_some(Reason::Closed),
        (Kind::FirstFrameTimeout, _) => on.first_frame_timeout.then_some(Reason::FirstFrameTimeout),
        (Kind::HeadTimeout, _) => on.head_timeout.then_some(Reason::HeadTimeout),
        // The request's own fault, the client's, or ours: no other upstream would help. Or it may have cost
        // a connection with all that was on it, and would cost the next one's.
        _ => None,
    }
}

/// The word for any failure, whether or not the operator lets it lead on.
pub fn name_of(kind: Kind, failure: Failure) -> FailoverReason {
    let any = Triggers::HEAD_TIMEOUT.and(Triggers::FIRST_FRAME_TIMEOUT).and(Triggers::CLOSED);
    after_failure(kind, failure, &any).unwrap_or(FailoverReason::Closed)
}

/// Why an upstream that gave an answer of this status is left for another; `None` if it is not.
pub fn after_answer(status: StatusCode, on: &Triggers) -> Option<FailoverReason> {
    on.has_status(status.as_u16()).then_some(match status {
        StatusCode::TOO_MANY_REQUESTS => FailoverReason::RateLimited,
        _ => FailoverReason::Status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_processed_goes_elsewhere_whatever_the_operator_says() {
        let nothing = Triggers::default();
        for (kind, failure, reason) in [
            (Kind::ConnectRefused, Failure::Unsent, FailoverReason::Connect),
            (Kind::ConnectTimeout, Failure::Unsent, FailoverReason::Connect),
            (Kind::Tls, Failure::Unsent, FailoverReason::Connect),
            (Kind::PoolQueueFull, Failure::Unsent, FailoverReason::Queue),
            (Kind::UpstreamBusy, Failure::Unsent, FailoverReason::Queue),
            (Kind::UpstreamRateLimited, Failure::Unsent, FailoverReason::RateLimited),
            (Kind::UpstreamReset, Failure::Refused, FailoverReason::Refused),
            (Kind::UpstreamClosed, Failure::GoAway, FailoverReason::Unsent),
            (Kind::UpstreamClosed, Failure::Unsent, FailoverReason::Unsent),
        ] {
            assert_eq!(after_failure(kind, failure, &nothing), Some(reason), "{kind:?}");
        }
    }

    #[test]
    fn what_may_have_been_processed_goes_elsewhere_only_if_the_operator_says_so() {
        let nothing = Triggers::default();
        let all = Triggers::HEAD_TIMEOUT.and(Triggers::CLOSED).and(Triggers::FIRST_FRAME_TIMEOUT);
        for (kind, reason) in [
            (Kind::UpstreamReset, FailoverReason::Closed),
            (Kind::UpstreamClosed, FailoverReason::Closed),
            (Kind::UpstreamProtocol, FailoverReason::Closed),
            (Kind::UpstreamInterim, FailoverReason::Closed),
            (Kind::HeadTimeout, FailoverReason::HeadTimeout),
            (Kind::FirstFrameTimeout, FailoverReason::FirstFrameTimeout),
            (Kind::UpstreamCut, FailoverReason::Closed),
        ] {
            assert_eq!(after_failure(kind, Failure::Unknown, &nothing), None, "{kind:?}");
            assert_eq!(after_failure(kind, Failure::Unknown, &all), Some(reason), "{kind:?}");
        }
    }

    #[test]
    fn what_is_the_request_s_fault_or_ours_goes_nowhere() {
        let all = Triggers::HEAD_TIMEOUT.and(Triggers::CLOSED).and(Triggers::statuses(400..600));
        for kind in [
            Kind::BadRequest("."),
            Kind::MethodRefused,
            Kind::BodyIdle,
            Kind::BodySlow,
            Kind::ClientGone,
            Kind::Busy,
            Kind::RouteBusy,
            Kind::MemoryShort,
            Kind::Draining,
            Kind::Internal,
            Kind::UpstreamGoaway,
        ] {
            for failure in [Failure::Unsent, Failure::Suspect, Failure::Unknown] {
                assert_eq!(after_failure(kind, failure, &all), None, "{kind:?}");
            }
        }
    }

    #[test]
    fn statuses_are_as_configured() {
        let on = Triggers::statuses([429, 503]);
        let after = |status| after_answer(StatusCode::from_u16(status).unwrap(), &on);
        assert_eq!(after(429), Some(FailoverReason::RateLimited));
        assert_eq!(after(503), Some(FailoverReason::Status));
        assert_eq!(after(500), None);
        assert_eq!(after(200), None);
    }
}
