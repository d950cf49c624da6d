//! One stream through the proxy, shown as it arrives.

use std::error::Error;
use std::io;

use loadtest::client::{Mono, Request, Watch, fetch};
use serde_json::Value;

use super::ends::Ends;
use super::screen::{Screen, Style};

/// Columns of text beside the time.
const WIDTH: usize = 60;

/// Streams one answer and shows each word when it comes, with the time of each line's first word.
pub(super) async fn show(ends: &Ends, screen: &mut Screen) -> Result<(), Box<dyn Error>> {
    screen.line("One stream through the proxy, as it arrives (seconds since the request):\n")?;
    let body = r#"{"model":"gpt-mock","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = Request::post("/v1/chat/completions", body)?;
    let target = ends.through()?;
    let mut words =
        Words { begun: Mono::now(), unread: Vec::new(), column: 0, shown: Ok(()), screen };
    let outcome = fetch(&target, &request, &mut words).await;
    words.shown?;
    screen.line("\n")?;
    match outcome.failure {
        Some(failure) => Err(format!("the stream failed: {}", failure.detail).into()),
        None => Ok(()),
    }
}

/// Takes words out of the events and shows them.
struct Words<'a> {
    begun: Mono,
    /// The beginning of an event whose end has not come.
    unread: Vec<u8>,
    column: usize,
    /// What became of showing it; the first error ends it.
    shown: io::Result<()>,
    screen: &'a mut Screen,
}

impl Watch for Words<'_> {
    fn read(&mut self, at: Mono, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            if self.shown.is_ok()
                && let Some(word) = word(&event)
            {
                self.shown = self.show(at, &word);
            }
        }
    }
}

impl Words<'_> {
    fn show(&mut self, at: Mono, word: &str) -> io::Result<()> {
        // A word brings the space after it; shown with the next one, no line ends in it.
        let (word, space) = (word.trim_end(), " ");
        if self.column == 0 || self.column + space.len() + word.len() > WIDTH {
            let before = if self.column == 0 { "" } else { "\n" };
            let seconds = format!("{:>8.3}  ", at.since(self.begun) as f64 / 1e9);
            let seconds = self.screen.styled(Style::Dim, &seconds);
            self.screen.part(&format!("{before}{seconds}"))?;
            self.column = word.len();
            return self.screen.part(word);
        }
        self.column += space.len() + word.len();
        self.screen.part(&format!("{space}{word}"))
    }
}

/// The text in a chunk of a chat completion.
fn word(event: &[u8]) -> Option<String> {
    let chunk: Value = serde_json::from_slice(event.strip_prefix(b"data: ")?).ok()?;
    Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned())
}
