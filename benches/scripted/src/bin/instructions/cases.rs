//! What is counted. Each case runs a number of rounds; what one costs is the difference between two
//! numbers of rounds, so that nothing which happens once is in it.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::rig::{Count, Rig};
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
    pub(crate) fn run(self, rig: &mut Rig, rounds: u32) -> Result<(), Box<dyn Error>> {
        late_exchange(rig, matches!(self, Self::Cancel(_)))?;
        match self {
            Self::Idle => (0..rounds).for_each(|_| rig.turn(Count::Yes)),
            Self::Request(speech) => requests(rig, speech, rounds)?,
            Self::Frame(speech) => frames(rig, speech, rounds, 1)?,
            Self::Burst(speech) => frames(rig, speech, rounds, BURST)?,
            Self::Cancel(speech) => cancels(rig, speech, rounds)?,
        }
        Ok(())
    }
}

/// An uncounted exchange in which all that is timed is late: a histogram grows when something takes
/// longer than anything before it, and when that is, is the clock's choice. With a `cancel` only where cancels are
/// counted: a stream that was reset is remembered for ten seconds, and looking for others costs more meanwhile.
fn late_exchange(rig: &mut Rig, cancel: bool) -> io::Result<()> {
    rig.slowed(LATE, |rig| {
        for stays in [true].into_iter().chain(cancel.then_some(false)) {
            let mut client = rig.connect(Speech::Http1)?;
            let stream = begin(rig, &mut client)?;
            for frames in 1..4 {
                rig.upstream.data(&[stream], &[&texts::token()], stays && frames == 3)?;
                rig.answered(Count::No, &mut client, |answer| {
                    answer.body.len() == frames * texts::token().len()
                })?;
            }
            if !stays {
                drop(client);
                rig.until(Count::No, |rig| rig.upstream.is_reset(stream))?;
            }
        }
        Ok(())
    })
}

fn requests(rig: &mut Rig, speech: Speech, rounds: u32) -> io::Result<()> {
    let mut client = rig.connect(speech)?;
    for _ in 0..rounds {
        client.ask()?;
        let stream = rig.asked(Count::Yes)?;
        rig.upstream.head(stream)?;
        rig.answered(Count::Yes, &mut client, |answer| answer.begun)?;
        rig.upstream.data(&[stream], &[texts::DONE], true)?;
        rig.answered(Count::Yes, &mut client, |answer| answer.ended)?;
        same(&client.answer()?.body, texts::DONE)?;
    }
    Ok(())
}

fn frames(rig: &mut Rig, speech: Speech, rounds: u32, together: usize) -> io::Result<()> {
    let mut client = rig.connect(speech)?;
    let stream = begin(rig, &mut client)?;
    let token = texts::token();
    let parts: Vec<&[u8]> = (0..together).map(|_| token.as_slice()).collect();
    let mut sent = 0;
    for _ in 0..rounds {
        rig.upstream.data(&[stream], &parts, false)?;
        sent += together * token.len();
        rig.answered(Count::Yes, &mut client, |answer| answer.body.len() == sent)?;
    }
    same(&client.answer()?.body, &token.repeat(rounds as usize * together))
}

fn cancels(rig: &mut Rig, speech: Speech, rounds: u32) -> io::Result<()> {
    let mut known = None;
    for _ in 0..rounds {
        let mut client = match known.take() {
            Some(client) => client,
            None => rig.connect(speech)?,
        };
        let stream = begin(rig, &mut client)?;
        rig.upstream.data(&[stream], &[&texts::token()], false)?;
        rig.answered(Count::No, &mut client, |answer| !answer.body.is_empty())?;
        known = client.leave()?;
        rig.until(Count::Yes, |rig| rig.upstream.is_reset(stream))?;
        // What the task of the client's connection still lets go of.
        rig.turn(Count::Yes);
    }
    Ok(())
}

/// A request and its answer's head, uncounted: its stream.
fn begin(rig: &mut Rig, client: &mut Client) -> io::Result<u32> {
    client.ask()?;
    let stream = rig.asked(Count::No)?;
    rig.upstream.head(stream)?;
    rig.answered(Count::No, client, |answer| answer.begun)?;
    Ok(stream)
}

/// A proxy that is fast and wrong has no figure.
fn same(came: &[u8], sent: &[u8]) -> io::Result<()> {
    if came == sent { Ok(()) } else { Err(io::Error::other("other bytes came than were sent")) }
}
