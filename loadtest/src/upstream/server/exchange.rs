//! One request and its answer: read, decide, answer, log; the same for both versions of HTTP.

use bytes::Bytes;

use super::Shared;
use crate::upstream::clock::now_ns;
use crate::upstream::log::recorder::Entry;
use crate::upstream::log::{End, KEPT_BODY, RequestSeen};
use crate::upstream::openai;
use crate::upstream::script::Script;
use crate::upstream::script::intake::{BODY_LIMIT, Intake};
use crate::upstream::script::run::Run;
use crate::upstream::script::seen::Seen;
use crate::upstream::script::sink::{Gone, Sink};
use crate::upstream::script::step::Head;
use crate::upstream::stream::Stream;
use crate::upstream::wire::Wire;

/// The reading side of one request.
pub(in crate::upstream) trait Pump {
    /// Reads the body to its end. May be dropped at any await and called again.
    async fn read_body(&mut self, intake: &Intake, entry: &Entry) -> Result<(), Gone>;

    /// Completes when the peer has left, for protocols where only the reading side sees it.
    async fn gone(&mut self) -> Gone;
}

/// Serves one request. Dropping it counts as the peer's connection having closed.
pub(in crate::upstream) async fn exchange(
    shared: &Shared,
    wire: &Wire,
    mut seen: Seen,
    pump: &mut impl Pump,
    sink: &mut impl Sink,
) {
    let upload = openai::is_upload(&seen);
    let limit = if upload { KEPT_BODY } else { BODY_LIMIT };
    let intake = Intake::new(limit, upload || shared.settings.hash);
    let entry = Entry::new(shared.recorder.clone(), wire.clone(), seen.nth, || entry_of(&seen));

    let early = shared.settings.answers.at_head(&seen);
    let whole = early.is_none();
    let script = match early {
        Some(script) => script,
        None => match read_first(&seen, pump, sink, &intake, &entry).await {
            Ok(()) => {
                (seen.body, seen.body_len, seen.body_sha256) = intake.summary();
                shared.settings.answers.at_end(&seen)
            }
            Err(gone) => {
                intake.fail(&entry);
                return entry.close(gone.into());
            }
        },
    };
    if script.echoes() {
        intake.start_echo();
    }
    let about = script.about.clone().unwrap_or_else(|| openai::about(&seen));
    let run = Run {
        sink,
        clock: &shared.clock,
        intake: &intake,
        entry: &entry,
        stream: Stream::new(about, seen.nth, seen.head_ns, shared.settings.hash),
        cursor: now_ns(),
        frames: 0,
        bytes: 0,
        head_sent: false,
    };
    let end = tokio::select! {
        biased;
        end = run.run(&script) => end,
        gone = watch(pump, &intake, &entry, whole || script.unread) => gone.into(),
    };
    entry.close(end);
}

/// Reads the whole body before anything is decided.
async fn read_first(
    seen: &Seen,
    pump: &mut impl Pump,
    sink: &mut impl Sink,
    intake: &Intake,
    entry: &Entry,
) -> Result<(), Gone> {
    if seen.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        sink.informational(&Head::new(100)).await?;
    }
    tokio::select! {
        biased;
        read = pump.read_body(intake, entry) => read,
        gone = sink.gone() => Err(gone),
    }
}

/// Reads what is left of the body while the script runs, then watches for the peer's leaving.
async fn watch(pump: &mut impl Pump, intake: &Intake, entry: &Entry, enough: bool) -> Gone {
    if !enough && let Err(gone) = pump.read_body(intake, entry).await {
        intake.fail(entry);
        return gone;
    }
    pump.gone().await
}

impl From<Gone> for End {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Reset(code) => Self::Reset { code },
            Gone::Closed => Self::PeerClosed,
            Gone::Malformed(why) => Self::Malformed(why),
        }
    }
}

impl Script {
    /// Whether it must start before the body has been read.
    pub(in crate::upstream) fn begins_at_head(&self) -> bool {
        self.early || self.unread || self.echoes()
    }
}

fn entry_of(seen: &Seen) -> RequestSeen {
    RequestSeen {
        nth: seen.nth,
        connection: seen.connection,
        stream: seen.stream,
        method: seen.method.clone(),
        path: seen.path.clone(),
        authority: seen.authority.clone(),
        headers: seen.headers.clone(),
        head_ns: seen.head_ns,
        body_len: 0,
        body: Bytes::new(),
        body_sha256: None,
        body_end_ns: None,
        trailers: Vec::new(),
        answer_ns: None,
        frames: 0,
        bytes: 0,
        end_ns: None,
        end: None,
    }
}
