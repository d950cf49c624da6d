//! Scripts that a request can ask for by name, so that tests in other languages can steer the upstream.

use std::time::Duration;

use super::{Standard, header_duration, whole};
use crate::upstream::script::Script;
use crate::upstream::script::seen::Seen;
use crate::upstream::script::step::{Goaway, Step};
use crate::upstream::wire::Cut;

/// The names that the header `x-mock-script` knows; any number from 400 to 599 is one too.
pub const NAMED_SCRIPTS: [&str; 24] = [
    "standard",
    "stall",
    "never",
    "refuse",
    "reset-before-head",
    "reset-mid-stream",
    "goaway",
    "goaway-below",
    "goaway-error",
    "truncate",
    "cut-fin",
    "cut-rst",
    "cut-before-head",
    "no-close-notify",
    "no-done",
    "short-length",
    "error-event",
    "empty-frames",
    "echo",
    "echo-sha256",
    "400",
    "401",
    "429",
    "500",
];

/// RFC 9113, section 7.
const INTERNAL_ERROR: u32 = 2;

/// The script of this name; an unknown one is answered 400 with all names, any number from 400 to 599 is a status.
pub(super) fn by_name(name: &str, pace: &Standard, seen: &Seen) -> Script {
    let half =
        || pace.stream_begun(Script::new().wait(pace.first_after), seen, pace.tokens.div_ceil(2));
    match name {
        "standard" => pace.stream_of(Script::new().wait(pace.first_after), seen),
        "stall" => half().stall(),
        "never" => Script::new().early().stall(),
        "refuse" => Script::new().refuse(),
        "reset-before-head" => Script::new().reset(INTERNAL_ERROR),
        "reset-mid-stream" => half().reset(INTERNAL_ERROR),
        "goaway" => half().goaway(Goaway::Graceful).step(Step::Done).finish(),
        "goaway-below" => Script::new().early().goaway(Goaway::BelowThis),
        "goaway-error" => half().goaway(Goaway::Error).cut(Cut::Fin),
        "truncate" => half().cut(Cut::MidFrame),
        "cut-fin" => half().cut(Cut::Fin),
        "cut-rst" => half().cut(Cut::Rst),
        "cut-before-head" => Script::new().cut(Cut::Fin),
        "no-close-notify" => half().cut(Cut::NoCloseNotify),
        "no-done" => half().finish(),
        "short-length" => short_length(),
        "error-event" => half().error_event("The server had an error").finish(),
        "empty-frames" => half().step(Step::EmptyFrames(50)).step(Step::Done).finish(),
        "echo" => Script::new().echo(),
        "echo-sha256" => echo_sha256(),
        "429" => {
            Script::new().rate_limited(header_duration(seen, "x-mock-retry-after").unwrap_or(RETRY))
        }
        _ => by_status(name, seen),
    }
}

const RETRY: Duration = Duration::from_secs(1);

/// Promises more bytes than it sends.
fn short_length() -> Script {
    let headers = [("content-type", "application/json"), ("content-length", "1000")];
    Script::new().head(200, &headers).body("{\"half\":").finish()
}

fn echo_sha256() -> Script {
    let head = [("content-type", "application/json")];
    Script::new().head(200, &head).step(Step::EchoSha256).finish()
}

fn by_status(name: &str, seen: &Seen) -> Script {
    let (kind, code, message) = match name {
        "400" => ("invalid_request_error", None, "The request was not understood."),
        "401" => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        "404" => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
        _ => ("server_error", None, "The server had an error while processing your request."),
    };
    if let Ok(status @ 400..600) = name.parse() {
        return whole(seen, status, &super::bodies::error(kind, code, message));
    }
    let message = format!("no script is named {name:?}; available: {}", NAMED_SCRIPTS.join(", "));
    whole(seen, 400, &super::bodies::error("invalid_request_error", None, &message))
}
