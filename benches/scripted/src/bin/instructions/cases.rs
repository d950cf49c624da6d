//! What is counted. Each case runs a number of rounds; what one costs is the difference between two
//! numbers of rounds, so that nothing which happens once is in it.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::field::{Count, Field};
use scripted::client::{Client, Speech};
use scripted::texts;

/// Frames that are ready together in a burst.
pub(crate) const BURST: usize = 16;

/// Later than anything that is counted, even on a busy machine.
const LATE: Duration = Duration::from_millis(50);

/// One case by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// A turn in which nothing happens: what the driver itself adds to each turn.
    Idle,
    /// A request with a prompt of 1 KiB on a warm connection; a head, one frame, the end.
    Request(Speech),
    /// One frame of 200 bytes, read and written by itself.
    Frame(Speech),
    /// Sixteen such frames in one segment.
    Burst(Speech),
    /// The client leaves in mid-stream, until the upstream's stream is reset and all is let go.
    Cancel(Speech),
}

impl Case {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (what, speech) = match name.strip_suffix("-http2") {
            Some(what) => (what, Speech::Http2),
            None => (name, Speech::Http1),
        };
        Some(match what {
            "idle" => Self::Idle,
            "request" => Self::Request(speech),
            "frame" => Self::Frame(speech),
            "burst" => Self::Burst(speech),
            "cancel" => Self::Cancel(speech),
            _ => return None,
        })
    }

    /// Runs it.
    pub(crate) fn run(self, field: &mut Field, rounds: u32) -> Result<(), Box<dyn Error>> {
        late_exchange(field, matches!(self, Self::Cancel(_)))?;
        match self {
            Self::Idle => (0..rounds).for_each(|_| field.turn(Count::Yes)),
            Self::Request(speech) => requests(field, speech, rounds)?,
            Self::Frame(speech) => frames(field, speech, rounds, 1)?,
            Self::Burst(speech) => frames(field, speech, rounds, BURST)?,
            Self::Cancel(speech) => cancels(field, speech, rounds)?,
        }
        Ok(())
    }
}

/// An uncounted exchange in which all that is timed is late: a histogram grows when something takes
/// longer than anything before it, and when that is, is the clock's choice. With a `cancel` only where cancels are
/// counted: a stream that was reset is remembered for ten seconds, and looking for others costs more meanwhile.
fn late_exchange(field: &mut Field, cancel: bool) -> io::Result<()> {
    field.slowed(LATE, |field| {
        for stays in [true].into_iter().chain(cancel.then_some(false)) {
            let mut client = field.connect(Speech::Http1)?;
            let stream = begin(field, &mut client)?;
            for frames in 1..4 {
                field.upstream.data(&[stream], &[&texts::token()], stays && frames == 3)?;
                field.answered(Count::No, &mut client, |answer| {
                    answer.body.len() == frames * texts::token().len()
                })?;
            }
            if !stays {
                drop(client);
                field.until(Count::No, |field| field.upstream.is_reset(stream))?;
            }
        }
        Ok(())
    })
}

fn requests(field: &mut Field, speech: Speech, rounds: u32) -> io::Result<()> {
    let mut client = field.connect(speech)?;
    for _ in 0..rounds {
        client.ask()?;
        let stream = field.asked(Count::Yes)?;
        field.upstream.head(stream)?;
        field.answered(Count::Yes, &mut client, |answer| answer.begun)?;
        field.upstream.data(&[stream], &[texts::DONE], true)?;
        field.answered(Count::Yes, &mut client, |answer| answer.ended)?;
        same(&client.answer()?.body, texts::DONE)?;
    }
    Ok(())
}

fn frames(field: &mut Field, speech: Speech, rounds: u32, together: usize) -> io::Result<()> {
    let mut client = field.connect(speech)?;
    let stream = begin(field, &mut client)?;
    let token = texts::token();
    let parts: Vec<&[u8]> = (0..together).map(|_| token.as_slice()).collect();
    let mut sent = 0;
    for _ in 0..rounds {
        field.upstream.data(&[stream], &parts, false)?;
        sent += together * token.len();
        field.answered(Count::Yes, &mut client, |answer| answer.body.len() == sent)?;
    }
    same(&client.answer()?.body, &token.repeat(rounds as usize * together))
}

fn cancels(field: &mut Field, speech: Speech, rounds: u32) -> io::Result<()> {
    let mut known = None;
    for _ in 0..rounds {
        let mut client = match known.take() {
            Some(client) => client,
            None => field.connect(speech)?,
        };
        let stream = begin(field, &mut client)?;
        field.upstream.data(&[stream], &[&texts::token()], false)?;
        field.answered(Count::No, &mut client, |answer| !answer.body.is_empty())?;
        known = client.leave()?;
        field.until(Count::Yes, |field| field.upstream.is_reset(stream))?;
        // What the task of the client's connection still lets go of.
        field.turn(Count::Yes);
    }
    Ok(())
}

/// A request and its answer's head, uncounted: its stream.
fn begin(field: &mut Field, client: &mut Client) -> io::Result<u32> {
    client.ask()?;
    let stream = field.asked(Count::No)?;
    field.upstream.head(stream)?;
    field.answered(Count::No, client, |answer| answer.begun)?;
    Ok(stream)
}

/// A proxy that is fast and wrong has no figure.
fn same(came: &[u8], sent: &[u8]) -> io::Result<()> {
    if came == sent { Ok(()) } else { Err(io::Error::other("other bytes came than were sent")) }
}
